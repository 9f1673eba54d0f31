"""Row 4: signals in over HTTP, each stored before it is answered, beside the same server that stores one by one."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import httpx
import psycopg

from byteport.sources import webhook
from tests.bench.row import Goal, Row, compared
from tests.bench.stage import SECRET, Stage, stage, until

CONNECTIONS = 64
ROUNDS = 9
MOST_A_SECOND = 4000  # more than any of the servers answers here: no round may run out of messages
SCRIPT = Path(__file__).with_name("signed.lua")
SERVERS = {"web": "BytePort", "insert": "one INSERT and commit a request", "validate": "the same without storing"}
What = Literal["distinct", "repeated", "absorbed"]
CLOSED = """
update byteport.incidents set phase = 'closed', closed_at = byteport.clock(), ending = 'resolved', due_at = byteport.clock()
where phase <> 'closed'
"""


@dataclass(frozen=True)
class Answered:
    """What a load client saw in one round."""

    rate: float
    p50: float
    p99: float
    requests: int


def rows(quick: bool, say: Callable[[str], None]) -> Iterable[Row]:
    seconds = 0.5 if quick else 3.0
    with stage() as here:
        ports = dict(_started(here))
        sender = Sender(here, ports, seconds)
        for server in SERVERS:
            sender.sent(server, "distinct")
        yield from _rows([sender.turn(n) for n in range(ROUNDS)])


def _rows(turns: list[dict[str, Answered]]) -> Iterator[Row]:
    def against(ours: str, theirs: str, of: str) -> list[tuple[float, float]]:
        return [(getattr(turn[ours], of), getattr(turn[theirs], of)) for turn in turns]

    naive, bare = SERVERS["insert"], SERVERS["validate"]
    a_second = {"unit": "1/s", "lenient": True}
    yield compared(
        4, "signals taken a second", Goal(">=", 1.5), against("distinct", "insert", "rate"), against=naive, **a_second
    )
    yield compared(
        4, "signals taken a second", Goal(">=", 0.5), against("distinct", "validate", "rate"), against=bare, **a_second
    )
    yield compared(
        4, "99.9 % of events repeated", Goal(">=", 1.2), against("repeated", "distinct", "rate"),
        against="distinct", **a_second,
    )  # fmt: skip
    yield compared(
        4, "answered within, p99", Goal("<=", 1.0), against("distinct", "insert", "p99"), against=naive, unit="s",
        lenient=True,
    )  # fmt: skip


def _started(here: Stage) -> Iterator[tuple[str, int]]:
    """All three servers, idle; their ports."""
    from byteport.embedded import free_port

    for server in SERVERS:
        port = here.web_port if server == "web" else free_port()
        module = () if server == "web" else ("tests.bench.reference_server", server)
        here.start(server, module=module, environment={"BYTEPORT_WEB__PORT": str(port)})
        yield server, port
        until(partial(_answers, port), 30, f"{server} answers")


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code < 500
    except httpx.TransportError:
        return False


@dataclass
class Sender:
    """Signs messages, has them sent by a process of its own, and sees to it that what was answered is stored."""

    here: Stage
    ports: dict[str, int]
    seconds: float
    numbers: Any = None

    def turn(self, n: int) -> dict[str, Answered]:
        """One round of each; who begins changes."""
        asked: list[tuple[str, str, What]] = [
            ("distinct", "web", "distinct"), ("insert", "insert", "distinct"), ("validate", "validate", "distinct"),
            ("repeated", "web", "repeated"),
        ]  # fmt: skip
        order = asked[n % len(asked) :] + asked[: n % len(asked)]
        return {name: self.sent(server, what) for name, server, what in order}

    def sent(self, server: str, what: What) -> Answered:
        """One round; raises where it proved something else than it says."""
        path = self.here.folder / "messages"
        path.write_text("".join(self._lines(what)), encoding="utf-8")
        before = self._stored()
        told = self._driven(server, path)
        if told["dry"] or told["refused"] or told["errors"]:
            raise RuntimeError(f"a round of {server} that proves nothing: {told}")
        if server == "web":
            self._look(what, self._stored() - before, told["requests"])
        return Answered(told["requests"] / told["seconds"], told["p50"], told["p99"], told["requests"])

    def _lines(self, what: What) -> Iterator[str]:
        at, wanted = int(time.time()), int(MOST_A_SECOND * (self.seconds + 1))
        same = [self._line(at) for _ in range(20)]
        for n in range(wanted):
            yield self._line(at) if what == "distinct" or n % 1000 == 0 else same[n % len(same)]

    def _line(self, at: int) -> str:
        if self.numbers is None:
            self.numbers = count()
        n = next(self.numbers)
        body = json.dumps(
            {
                "name": "bench", "event_id": f"event-{n}", "severity": "high", "summary": f"valve {n} is stuck",
                "target": {"kind": "service", "key": f"valve-{n}", "within": [f"host:h{n % 50}"]}, "value": 97.5,
                "labels": {"alertname": "ValveStuck", "team": "plumbing", "instance": f"h{n % 50}:9100", "job": "valves"},
                "raw": {"generatorURL": f"http://metrics.example.test/graph?g0.expr=valve%3D{n}", "startsAt": at},
            }
        )  # fmt: skip
        return f"{webhook.sign(body.encode(), SECRET, at)}\t{body}\n"

    def _driven(self, server: str, path: Path) -> Any:
        wrk = shutil.which("wrk")
        if wrk is None:
            raise RuntimeError("wrk is not installed: tests/install-servers")
        argv = (wrk, "-t1", f"-c{CONNECTIONS}", f"-d{self.seconds:.0f}s" if self.seconds >= 1 else "-d1s")
        url = f"http://127.0.0.1:{self.ports[server]}/webhooks/generic"
        told = subprocess.run(
            [*argv, "--timeout", "20s", "-s", str(SCRIPT), url, "--", str(path)],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return json.loads(told.stdout.splitlines()[-1])

    def _stored(self) -> int:
        return self._one("select count(*) from byteport.signals")

    def _look(self, what: What, stored: int, answered: int) -> None:
        """Everything that was answered is stored, and a worker was rung for each incident; then all of it is treated."""
        if what == "distinct" and not answered <= stored <= answered + CONNECTIONS:
            raise RuntimeError(f"{answered} were answered and {stored} are stored")
        opened = self._one("select count(*) from byteport.incidents where phase <> 'closed'")
        with self.here.client as client:
            until(lambda: self._rung(client) >= opened, 30, f"{opened} rings; there are {self._rung(client)}")
            client.flushall()
        with psycopg.connect(self.here.postgres.superuser_url, autocommit=True) as connection:
            connection.execute(CLOSED)

    def _rung(self, client: Any) -> int:
        return sum(client.llen(key) for key in client.scan_iter() if client.type(key) == b"list")

    def _one(self, query: str) -> int:
        with psycopg.connect(self.here.postgres.superuser_url, autocommit=True) as connection:
            found = connection.execute(query.encode()).fetchone()
            return int(found[0]) if found else 0
