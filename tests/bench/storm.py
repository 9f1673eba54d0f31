"""Row 5: ten thousand alerts for five hundred targets in one burst, as an Alertmanager sends them, through the web process
and the whole fleet, at the storm threshold that BytePort comes with.

The alerts of one target are spread over the whole burst, so that whatever is over by then is hit again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection

import psycopg

from byteport.records.figures import key_of
from byteport.settings.sections import PolicySection
from tests.bench.row import Goal, Row
from tests.bench.stage import POLICY, SECRET, WORKERS, Stage, stage, until

OF_A_TARGET = 20  # alerts
IN_A_MESSAGE = 50
SENDERS = 4
KNOWN = 20_000  # targets of the inventory, of which a tenth may be under remediation at once
PATIENCE = 400.0
THRESHOLD = PolicySection().storm_threshold
CONFIG = {
    "webhooks": {"alertmanager": {"secret": SECRET}},
    "routes": [
        {"match": {"alertname": "ValveStuck"}, "signal": "bench", "target": {"kind": "service", "key": "{valve}"}}
    ],
}
# Nothing is due, in anybody's hands or to be sent.
RESTLESS = """
select (select count(*) from byteport.incidents where phase <> 'closed'
        and (due_at <= clock_timestamp() or pending > 0 or lease_until > clock_timestamp()))
     + (select count(*) from byteport.deliveries where state in ('due', 'sending'))
"""
COUNTS = """
select (select count(*) from byteport.signals) as stored, (select count(*) from byteport.incidents) as incidents,
    (select count(distinct target_key) from byteport.incidents) as targets,
    (select count(*) from byteport.deliveries where dedup_key = %(storm)s and state <> 'suppressed'
        and message ->> 'kind' = 'escalation') as escalations,
    (select count(*) from byteport.deliveries where dedup_key = %(storm)s and state <> 'suppressed') as told,
    (select count(*) from byteport.deliveries where dedup_key <> %(storm)s and state <> 'suppressed') as others,
    (select count(*) from byteport.intents where attempts > 0) as acts,
    (select count(*) from byteport.intents where attempts > 1 or begun_at > (
        select opened_at + interval '1 second' from byteport.incidents order by opened_at offset %(threshold)s limit 1)
    ) as too_late,
    (select count(*) from (select target_key from byteport.incidents where acted_at is not null group by 1
                           having count(*) > 1) twice) as twice,
    (select count(*) from byteport.incidents where phase <> 'closed' and phase <> 'escalate') as unsettled
"""


def rows(quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    alerts = 1000 if quick else 10_000
    say(f"row 5: a storm of {alerts} alerts")
    with stage(policy={**POLICY, "storm_threshold": THRESHOLD}, config=CONFIG) as on:
        storm = Storm(on, alerts)
        storm.begin()
        yield from storm.told(*storm.struck(), say)


@dataclass
class Storm:
    stage: Stage
    alerts: int
    answers: Counter[int] = field(default_factory=Counter)

    @property
    def targets(self) -> int:
        return self.alerts // OF_A_TARGET

    def begin(self) -> None:
        self.stage.know(KNOWN)
        self.stage.start("web", *WORKERS, "beat")
        until(self._ready, PATIENCE, "the web process answers", every=0.1)

    def _ready(self) -> bool:
        try:
            return self._asked(HTTPConnection("127.0.0.1", self.stage.web_port, timeout=5), "GET", "/healthz") == 200
        except OSError:
            return False

    def struck(self) -> tuple[float, float]:
        """Seconds until the last alert was stored, and until all was calm."""
        began = time.monotonic()
        messages = [self._message(first) for first in range(0, self.alerts, IN_A_MESSAGE)]
        senders = [threading.Thread(target=self._send, args=(messages[n::SENDERS],)) for n in range(SENDERS)]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        stored = time.monotonic() - began
        until(self._is_calm, PATIENCE, "all is calm", every=0.2)
        return stored, time.monotonic() - began

    def _message(self, first: int) -> bytes:
        """As version 4 of Alertmanager's webhook has it; each alert is one of its own."""
        at = datetime.now(UTC).isoformat()
        alerts = [
            {
                "status": "firing", "startsAt": at, "fingerprint": f"{n:016x}",
                "labels": {"alertname": "ValveStuck", "valve": f"valve-{n % self.targets}", "severity": "warning"},
                "annotations": {"summary": f"valve {n % self.targets} is stuck, says gauge {n // self.targets}"},
            }
            for n in range(first, min(first + IN_A_MESSAGE, self.alerts))
        ]  # fmt: skip
        return json.dumps({"version": "4", "groupKey": "{}", "receiver": "byteport", "alerts": alerts}).encode()

    def _send(self, messages: list[bytes]) -> None:
        """One after the other; what is not taken is sent again after a while, as Alertmanager does."""
        line = HTTPConnection("127.0.0.1", self.stage.web_port, timeout=60)
        for body in messages:
            while (status := self._asked(line, "POST", "/webhooks/alertmanager", body)) != 202:
                self.answers[status] += 1
                time.sleep(1)
            self.answers[status] += 1

    def _asked(self, line: HTTPConnection, verb: str, path: str, body: bytes | None = None) -> int:
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        line.request(verb, path, body, headers)
        answer = line.getresponse()
        answer.read()
        return answer.status

    def _is_calm(self) -> bool:
        return self.stage.database.execute(RESTLESS).fetchone() == (0,)

    def told(self, stored: float, calm: float, say: Callable[[str], None]) -> Iterator[Row]:
        asked = self.stage.database.cursor(row_factory=psycopg.rows.dict_row)
        found = asked.execute(COUNTS, {"storm": key_of("bench"), "threshold": THRESHOLD}).fetchone() or {}
        say(f"stored in {stored:.1f} s, calm after {calm:.1f} s; {found}; answers {dict(self.answers)}")
        yield Row(5, f"alerts stored of {self.alerts:,}", Goal(">=", self.alerts, "rows"), found["stored"], "rows")
        yield Row(
            5, f"incidents of {self.targets} targets", Goal("<=", self.targets, "rows"), found["incidents"], "rows"
        )
        yield Row(5, "escalations of the storm", Goal("<=", 1, "messages"), found["escalations"], "messages")
        yield Row(
            5, "notifications of the storm", Goal("<=", 5, "messages"), found["told"], "messages",
            note=f"of single incidents, before it was one: {found['others']}",
        )  # fmt: skip
        yield Row(5, "acts", Goal("<=", THRESHOLD, "acts"), found["acts"], "acts")
        beyond = found["too_late"] + found["twice"]
        yield Row(5, "acts twice, or once the storm was seen", Goal("<=", 0, "acts"), beyond, "acts")
        yield Row(
            5, f"calm after {self.alerts:,} alerts", Goal("<=", PATIENCE, "s"), calm, "s",
            note=f"stored in {stored:.1f} s",
        )  # fmt: skip
