"""`python -m workers ROLE`: one worker of the fleet (probe, act, decide), its clock (beat), or its window (flower)."""

from __future__ import annotations

import sys
from typing import Any

from celery.bin.base import CLIContext

from byteport import logs
from workers.app import app
from workers.roles import ROLES, Role


def main(arguments: list[str]) -> int:
    """Run it until it is told to stop. Returns 2 for an unknown role."""
    logs.configure()  # before anything can fail: a bare traceback may show what is secret
    name = arguments[0] if arguments else ""
    if name in ROLES:
        _work(ROLES[name], arguments[1:])
    elif name == "beat":
        _tick(arguments[1:])
    elif name == "flower":
        app.start(["flower", "--max_tasks=10000", *arguments[1:]])
    else:
        print(f"a role is required: {', '.join((*ROLES, 'beat', 'flower'))}", file=sys.stderr)
        return 2
    return 0


def _work(role: Role, more: list[str]) -> None:
    app.conf.update(byteport_role=role.name, byteport_pool=role.pool)
    from celery.bin.worker import worker

    _run(
        worker,
        [
            f"--hostname={role.name}@%h", f"--queues={','.join(role.queues)}", f"--pool={role.pool}",
            f"--concurrency={role.concurrency}", "--loglevel=INFO", "--without-mingle", "--without-gossip", *more,
        ],
    )  # fmt: skip


def _tick(more: list[str]) -> None:
    from celery.bin.beat import beat

    app.conf.include = ()  # it sends by name, and needs nothing of what works
    _run(beat, ["--loglevel=INFO", *more])


def _run(command: Any, words: list[str]) -> None:
    """One of Celery's commands alone: the command that has them all imports every plugin too, Flower with its web
    server in each process."""
    context = CLIContext(app=app, no_color=None, workdir=None, quiet=False)
    command.main(args=words, prog_name=f"workers {command.name}", obj=context, standalone_mode=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
