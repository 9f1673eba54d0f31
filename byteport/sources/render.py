"""Render, asked: deploys that have failed, each once, and that the same service is live again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from byteport.model.alert import Alert
from byteport.model.facts.render import Deploy
from byteport.model.signal import Severity
from byteport.sources.incoming import Heard, id_of, labels
from byteport.sources.parts import each

SOURCE = "render-poller"
FAILED = frozenset(("build_failed", "update_failed", "pre_deploy_failed"))
LOOK_BACK = timedelta(hours=6)


class RenderReading(Protocol):
    """Raises Transient or Permanent."""

    def deploys(self, service: str, most: int = 10) -> Sequence[Deploy]: ...


@dataclass(frozen=True)
class RenderPoller:
    """`services` are ids with the names that people know them by. It remembers nothing: a deploy is known by its id."""

    render: RenderReading
    services: Sequence[tuple[str, str]]
    period: timedelta
    timeout: timedelta
    name: str = "render"

    def ask(self, now: datetime) -> Sequence[Heard]:
        """Raises what the first service raised where none could be read."""
        asked = each(self.services, lambda service: self.render.deploys(service[0]))
        told: list[Heard] = []
        for (service, known_as), deploys in asked.answers:
            told += alerts_of(service, known_as, deploys, now)
        return [*told, *asked.told(lambda service: service[0])]


def alerts_of(service: str, known_as: str, deploys: Sequence[Deploy], now: datetime) -> Iterator[Alert]:
    """The newest deploy decides: one that failed lately is told; one that is live ends what failed before it. Whoever
    cancelled one knows. Pure."""
    decided = [deploy for deploy in deploys if deploy.status in (*FAILED, "live")]
    if not decided:
        return
    newest = max(decided, key=lambda deploy: deploy.created_at)
    at = newest.finished_at or newest.created_at
    failed = newest.status in FAILED
    if now - at > LOOK_BACK or (not failed and not any(deploy.status in FAILED for deploy in decided)):
        return
    yield Alert(
        source=SOURCE, name="render_deploy_failed", fired_at=min(at, now), resolved=not failed, severity=Severity.HIGH,
        summary=f"{known_as}: deploy {newest.id} is {newest.status}",
        labels=labels(
            service_id=service, service=known_as, deploy_id=newest.id, commit=newest.commit, status=newest.status,
            trigger=newest.trigger,
        ),
        event_id=id_of("render", newest.id, newest.status),
    )  # fmt: skip
