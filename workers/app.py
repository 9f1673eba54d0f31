"""The Celery application and its settings, each with its reason.

The ledger is the truth and a message only a doorbell, so the settings prefer a lost or late message over one that
blocks, loops or hides: the sweeper finds whatever a message did not.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from beat_schedules import schedule
from byteport.settings import Settings
from workers import boot
from workers.roles import HARD_LIMIT, PROBE_LIMIT, QUEUE_OF, SOFT_LIMIT


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Everything that Celery is told. Raises BadConfiguration where no broker is configured."""
    return {
        "broker_url": settings.broker_dsn,
        **_transport(settings.broker_dsn),
        "beat_schedule": schedule(settings.pollers),
        **CONTENT,
        **DELIVERY,
        **TIMES,
        **CONNECTION,
        **BEAT,
        "task_routes": {task: {"queue": queue} for task, queue in QUEUE_OF.items()},
        "task_default_queue": "decide",
        "task_create_missing_queues": True,
    }


def _transport(broker: str) -> dict[str, Any]:
    """Ours; with TLS kombu's own, which knows by the scheme how to encrypt."""
    return {"broker_transport": "workers.broker:Transport"} if broker.startswith("redis://") else {}


CONTENT: dict[str, Any] = {
    # JSON only: a message never runs code where it is read.
    "accept_content": ["json"],
    "task_serializer": "json",
    "event_serializer": "json",
    # No result backend: the ledger knows how it ended, and results cost two thirds of the throughput.
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # Flower sees the life of an incident; these events carry ids and task names and nothing else. That a task was sent
    # is seen when it is received: an event of its own for it costs its sender as much as the sending.
    "worker_send_task_events": True,
    "task_send_sent_event": False,
    # Logs are structured by us, for every library alike.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "enable_utc": True,
    "timezone": "UTC",
}

DELIVERY: dict[str, Any] = {
    # A message that was taken and is not done goes back when its worker stops; every task may run twice.
    "task_acks_late": True,
    # A killed child's message is not sent again by the broker: the incident's lease has to end first anyway, and then
    # the sweeper rings. So a task that kills its worker cannot loop.
    "task_reject_on_worker_lost": False,
    "task_acks_on_failure_or_timeout": True,
    # Nobody reserves work behind a slow task.
    "worker_prefetch_multiplier": 1,
    # After a lost broker the tasks that run go on: what they do is under a claim, so a second delivery finds nothing.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # What a dead worker had taken must not reduce what a living one takes.
    "worker_enable_prefetch_count_reduction": False,
}

TIMES: dict[str, Any] = {
    "task_soft_time_limit": SOFT_LIMIT,
    "task_time_limit": HARD_LIMIT,
    "task_annotations": {"byteport.probe": {"soft_time_limit": PROBE_LIMIT, "time_limit": PROBE_LIMIT + 5}},
    # A child opens its kept connections before it takes work, 3 s each at most.
    "worker_proc_alive_timeout": 30.0,
    # Insurance against leaks in client libraries; the kept connections of a new child are opened at its start.
    "worker_max_tasks_per_child": 2000,
}

CONNECTION: dict[str, Any] = {
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,  # a worker outlives any outage of its broker
    "broker_connection_timeout": 4,
    "broker_pool_limit": 8,
    "broker_pool_acquire_timeout": 5,
    # Who publishes has committed to the ledger first, so two quick tries are enough: the sweeper does the rest.
    "task_publish_retry": True,
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2},
    "broker_transport_options": {
        # What a worker has taken it remembers itself, and puts back when it stops. A copy at the broker, for its death,
        # costs a third of taking a message, and would come back later than the sweeper rings: 120 s against 10 s.
        "ack_emulation": False,
        # Without these a publish waits for ever on a dead line, and a consumer on a half-open one.
        "socket_connect_timeout": 3,
        "socket_timeout": 4,
        "socket_keepalive": True,
        "health_check_interval": 5,
        # Connecting, for whoever publishes: a few tries and then an error, not a hanging web request.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.2,
        # Queues are served in turn: probes cannot starve polls, decisions cannot starve sweeps.
        "queue_order_strategy": "round_robin",
    },
}

BEAT: dict[str, Any] = {
    # Every period is seconds long, so there is nothing to remember over a restart, and no file that could go bad.
    "beat_scheduler": "celery.beat:Scheduler",
    "beat_max_loop_interval": 1,
}


def make_app() -> Celery:
    """The application; settings are read when it is first used, so that importing a task needs none."""
    made = Celery("byteport", include=["workers.tasks"], set_as_current=True)
    made.add_defaults(lambda: celery_settings(Settings.load()))
    boot.connect()
    made.steps["consumer"].add("workers.broker:EventsInBatches")
    return made


app = make_app()
