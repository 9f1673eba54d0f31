"""TLS endpoints, asked: certificates that expire (30, 14, 7, 1 days before), have expired, or that nobody believes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import Field

from byteport.model.alert import Alert
from byteport.model.base import Value
from byteport.model.facts.tls import ServedCertificate
from byteport.model.signal import Severity
from byteport.sources.conditions import Seen, bounded
from byteport.sources.incoming import Heard, id_of, labels
from byteport.sources.parts import each
from byteport.sources.polling import Looked, recalled

SOURCE = "tls-poller"
THRESHOLDS = {1: Severity.CRITICAL, 7: Severity.HIGH, 14: Severity.WARNING, 30: Severity.WARNING}
AT_ONCE = 32


class TlsReading(Protocol):
    """Raises Transient or Permanent."""

    def served(self, host: str, port: int, server_name: str, starttls: str) -> ServedCertificate: ...


@dataclass(frozen=True)
class Endpoint:
    """`server_name` is asked for where it is another than the host; several hosts may serve it. `starttls`: what is
    spoken before TLS (none, smtp, postgres)."""

    host: str
    port: int = 443
    server_name: str = ""
    starttls: str = "none"

    @property
    def name(self) -> str:
        return self.server_name or self.host

    def __str__(self) -> str:
        return f"{self.name}:{self.port}" + (f" at {self.host}" if self.name != self.host else "")


class Memory(Value):
    """What was told, by the condition's identity, and who was silent."""

    told: dict[str, Seen] = Field(default_factory=dict)
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class TlsPoller:
    """All endpoints at once. One that does not answer keeps none of the others from being told, and clears nothing of
    its own. Who was silent at the last look is asked last, so that many who hang take no one else's turn."""

    tls: TlsReading
    endpoints: Sequence[Endpoint]
    period: timedelta
    timeout: timedelta
    name: str = "tls"

    def look(self, now: datetime, memory: Mapping[str, Any]) -> Looked:
        """Raises what the first endpoint raised where none has answered."""
        last = recalled(Memory, memory)
        asked = each(in_turn(self.endpoints, last.silent), self._look, most=AT_ONCE)
        known = dict(last.told)
        told: list[Heard] = []
        for endpoint, seen in asked.answers:
            firing = {alert.condition: alert for alert in alerts_of(endpoint, seen, now)}
            told += firing.values()
            told += _ended(endpoint, known, firing, now)
            known |= {condition: _seen(alert, known.get(condition), now) for condition, alert in firing.items()}
        mine = {str(endpoint) for endpoint in self.endpoints}
        kept = {condition: seen for condition, seen in known.items() if seen.alert.labels.get("endpoint") in mine}
        after = Memory(told=bounded({SOURCE: kept})[SOURCE], silent=tuple(str(one) for one, _ in asked.silent))
        return Looked([*told, *asked.told()], after.model_dump(mode="json"))

    def _look(self, one: Endpoint) -> ServedCertificate:
        return self.tls.served(one.host, one.port, one.server_name, one.starttls)


def _seen(alert: Alert, before: Seen | None, now: datetime) -> Seen:
    return Seen(alert=alert, since=before.since if before else now, told=True, last=now)


def _ended(endpoint: Endpoint, known: dict[str, Seen], firing: Mapping[str, Alert], now: datetime) -> list[Alert]:
    """Takes them out of what is known."""
    mine = [c for c, seen in known.items() if seen.alert.labels["endpoint"] == str(endpoint) and c not in firing]
    return [
        known.pop(condition).alert.with_(resolved=True, fired_at=now, event_id=id_of(condition, now.isoformat()))
        for condition in mine
    ]


def in_turn(endpoints: Sequence[Endpoint], silent: Collection[str]) -> Sequence[Endpoint]:
    """As they were given, but those that were silent last. Pure."""
    return sorted(endpoints, key=lambda one: str(one) in silent)


def alerts_of(endpoint: Endpoint, seen: ServedCertificate, now: datetime) -> Iterator[Alert]:
    """At most one about its dates, and one where a client would not believe it. Heard again each day, and at once when
    the next threshold is crossed. Pure."""
    left = seen.left(now)
    days = left / timedelta(days=1)
    crossed = next((limit for limit in sorted(THRESHOLDS) if days <= limit), None)
    if left <= timedelta(0):
        yield _alert(
            "tls_certificate_expired", endpoint, seen, now, Severity.CRITICAL, f"expired {-days:.1f} days ago", "0"
        )
    elif crossed is not None:
        words = f"expires in {days:.1f} days"
        yield _alert("tls_certificate_expiring", endpoint, seen, now, THRESHOLDS[crossed], words, str(crossed))
    if seen.wrong:
        yield _alert("tls_chain_invalid", endpoint, seen, now, Severity.HIGH, f"is not believed: {seen.wrong}", "")


def _alert(
    name: str,
    endpoint: Endpoint,
    seen: ServedCertificate,
    now: datetime,
    severity: Severity,
    words: str,
    threshold: str,
) -> Alert:
    condition = id_of(name, endpoint)
    return Alert(
        source=SOURCE, name=name, fired_at=now, severity=severity,
        summary=f"the certificate of {endpoint} {words} (issued by {seen.issuer})",
        value=round(seen.left(now) / timedelta(days=1), 2),
        labels=labels(
            instance=endpoint.name, endpoint=endpoint, port=endpoint.port, serial=seen.serial, issuer=seen.issuer,
            subject=seen.subject, not_after=seen.not_after.isoformat(), threshold_days=threshold,
            reason=seen.wrong, host=endpoint.host,
        ),
        condition=condition, event_id=id_of(condition, seen.serial, threshold, now.date()),
    )  # fmt: skip
