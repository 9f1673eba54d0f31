"""What a worker process does at its start and around each task, as Celery's signals tell of it.

An acting worker loads its libraries in the parent, collects and freezes them before the fork: its children then share
those pages, which halves the fleet's memory. What works is imported only where work is done: the clock gets by with
Celery. Each process opens its kept connections when it starts, before the database it is to treat has filled up.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import structlog
from celery import Task, signals

from byteport import logs
from byteport.errors import OutOfTime
from workers.overdue import Overdue

if TYPE_CHECKING:
    from celery.worker import WorkController

PR_SET_PDEATHSIG = 1
log: Any = structlog.get_logger("byteport.worker")
overdue = Overdue()


def connect() -> None:
    """Register with Celery's signals, once for a process; a second time changes nothing."""
    signals.setup_logging.connect(_structured_logs, dispatch_uid="byteport.logs")
    signals.worker_init.connect(_parent_starts, dispatch_uid="byteport.parent")
    signals.worker_process_init.connect(_child_starts, dispatch_uid="byteport.child")
    signals.task_prerun.connect(_task_begins, dispatch_uid="byteport.begins")
    signals.task_postrun.connect(_task_ends, dispatch_uid="byteport.ends")


def _structured_logs(**_told: object) -> None:
    logs.configure()


def _parent_starts(sender: WorkController, **_told: object) -> None:
    """Threads work in this very process; children are forked from it, so it must hold libraries and no connection.

    Celery only logs what its signals raise; a worker that cannot be wired must not look as if it worked.
    """
    try:
        _prepare(sender.app.conf.byteport_pool)
    except Exception as problem:
        log.exception("not_started")
        raise SystemExit(1) from problem


def _prepare(pool: str) -> None:
    from workers import process, upkeep

    if pool == "prefork":
        process.preload()
        gc.collect()
        gc.freeze()
    else:
        overdue.watch()
        upkeep.begin()


def _child_starts(**_told: object) -> None:
    from workers import upkeep

    _die_with_the_parent()
    upkeep.begin()


def _die_with_the_parent() -> None:
    """A child whose parent was killed must not go on acting; the kernel sees to it."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(1)


def _task_begins(task_id: str, task: Task, args: tuple[object, ...], **_told: object) -> None:
    ids = {"incident": str(args[0])} if args and task.name != "byteport.poll" else {}
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id, **ids)
    overdue.begins(task_id, task.name)
    if task.app.conf.get("byteport_pool") == "prefork":
        signal.signal(signal.SIGUSR1, _out_of_time)  # Celery sets its own handler after the child's start


def _task_ends(task_id: str, **_told: object) -> None:
    overdue.ends(task_id)
    structlog.contextvars.clear_contextvars()


def _out_of_time(*_signal: object) -> None:
    """Celery's soft limit, in the engine's words: it knows what to do with an OutOfTime, and nothing of Celery."""
    raise OutOfTime("this task's soft time limit was reached")
