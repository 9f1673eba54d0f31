"""`python -m workers ROLE`: one worker of the fleet (probe, act, decide), its clock (beat), or its window (flower)."""

from __future__ import annotations

import sys

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
        app.start(["beat", "--loglevel=INFO", *arguments[1:]])
    elif name == "flower":
        app.start(["flower", "--max_tasks=10000", *arguments[1:]])
    else:
        print(f"a role is required: {', '.join((*ROLES, 'beat', 'flower'))}", file=sys.stderr)
        return 2
    return 0


def _work(role: Role, more: list[str]) -> None:
    app.conf.update(byteport_role=role.name, byteport_pool=role.pool)
    app.worker_main(
        [
            "worker", f"--hostname={role.name}@%h", f"--queues={','.join(role.queues)}", f"--pool={role.pool}",
            f"--concurrency={role.concurrency}", "--loglevel=INFO", "--without-mingle", "--without-gossip", *more,
        ]
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
