"""The doorbells as Celery messages. Whoever rings has committed to the ledger, so a ring may get lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery, Signature, group, uuid

from byteport.records.incident import Phase
from workers.roles import QUEUE_OF

log: Any = structlog.get_logger("byteport.wakeups")

TASK_FOR: dict[Phase, str] = {
    Phase.OPEN: "byteport.diagnose",
    Phase.PROBE: "byteport.diagnose",
    Phase.CLASSIFY: "byteport.classify",
    Phase.PLAN: "byteport.classify",
    Phase.ACT: "byteport.remediate",
    Phase.VERIFY: "byteport.verify",
    Phase.ESCALATE: "byteport.escalate",
    Phase.WRITE_UP: "byteport.verify",
}
HANDS = "byteport.remediate"  # whatever the phase: something must be settled at the target, and only this one can
# An expiry is compared with the reader's own clock, so it must outlast clocks that are minutes apart; it only bounds
# what an absence of workers leaves behind: the sweeper rings for the same incident every ten seconds.
RING_EXPIRES = 3600


def task_for(phase: Phase, *, wants_hands: bool = False) -> str | None:
    """The task that makes the incident's next move; None for a closed one."""
    return HANDS if wants_hands and phase is not Phase.CLOSED else TASK_FOR.get(phase)


@dataclass(frozen=True)
class CeleryWakeups:
    """Rings the task that moves an incident. Never raises: what is not rung is swept."""

    app: Celery

    def ring(self, incident_id: str, phase: Phase, *, wants_hands: bool = False) -> None:
        """Ring for the phase's task; nothing for a closed incident."""
        task = task_for(phase, wants_hands=wants_hands)
        if task is None:
            return
        try:
            with self.app.producer_or_acquire() as producer:
                self._send(producer, task, incident_id, **self._again)
        except Exception as problem:  # noqa: BLE001  (whatever the broker's client raises)
            log.warning("not_rung", action="ring", incident=incident_id, error=type(problem).__name__)

    def ring_all(self, incident_ids: Sequence[str], phase: Phase) -> None:
        """The same for many, in one round trip and for less than a third of what as many rings cost. Flower first sees
        these when a worker receives them."""
        task = task_for(phase)
        if task is None or not incident_ids:
            return
        try:
            with self.app.producer_or_acquire() as producer, producer.batch(len(incident_ids)):
                for incident_id in incident_ids:
                    self._send(producer, task, incident_id)
        except Exception as problem:  # noqa: BLE001  (whatever the broker's client raises)
            log.warning("not_rung", action="ring_all", incidents=len(incident_ids), error=type(problem).__name__)

    def send_groups(self, incident_id: str, groups: Sequence[tuple[int, str]]) -> None:
        """Fan the probe groups out over the fleet."""
        asked = [self.signature("byteport.probe", incident_id, round_, name) for round_, name in groups]
        if asked:
            self._publish(group(asked, app=self.app), "send_groups", incident_id)

    def signature(self, task: str, *ids: str | int) -> Signature:
        """One task by name; its arguments are ids and never anything else.

        They are short, so their plain text serves Flower as well as Celery's bounded one, which costs more than the
        publishing itself.
        """
        plain = {"argsrepr": repr(ids), "kwargsrepr": "{}"}
        return self.app.signature(task, args=ids, immutable=True, options=plain)

    @property
    def _again(self) -> dict[str, Any]:
        """As Celery itself would try."""
        conf = self.app.conf
        return {"retry": conf.task_publish_retry, "retry_policy": conf.task_publish_retry_policy}

    def _send(self, producer: Any, task: str, incident_id: str, **again: Any) -> None:
        """The message that `signature` would become, for a fraction of what sending that costs."""
        message = self.app.amqp.as_task_v2(
            uuid(), task, (incident_id,), {}, expires=RING_EXPIRES, argsrepr=repr((incident_id,)), kwargsrepr="{}",
            ignore_result=None,  # as it stands at the task
        )  # fmt: skip
        body, headers, properties = message.body, message.headers, message.properties
        queue = QUEUE_OF[task]
        producer.publish(
            body, routing_key=queue, exchange="", serializer="json", headers=headers, **properties, **again
        )

    def _publish(self, what: Signature, action: str, incident_id: str) -> None:
        try:
            what.apply_async()
        except Exception as problem:  # noqa: BLE001  (whatever the broker's client raises)
            log.warning("not_rung", action=action, incident=incident_id, error=type(problem).__name__)


def wakeups() -> CeleryWakeups:
    """For the wiring, which finds it by name."""
    from workers.app import app

    return CeleryWakeups(app)
