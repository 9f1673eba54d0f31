"""Row 10: how long every listing takes at the server, with 100,000 and with 1,000,000 stored incidents."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import median, quantiles

import httpx

from tests.bench.history import OPEN, filled, treated
from tests.bench.intake import _answers
from tests.bench.row import Goal, Row
from tests.bench.stage import SECRET, Stage, stage, until

ROUNDS = 9
SIZES = ((100_000, 100.0), (1_000_000, 150.0))
AUDIT = "byteport audit: a page of journals, and one looked through"


def rows(quick: bool, say: Callable[[str], None]) -> Iterable[Row]:
    sizes, filled_to = SIZES[:1] if quick else SIZES, 0
    with stage(durable=False) as here:
        template = treated(here)
        here.start("web")
        until(partial(_answers, here.web_port), 30, "the service answers")
        for size, goal in sizes:
            began = time.monotonic()
            filled(here, template, filled_to + 1, size)
            filled_to = size
            say(f"{size:,} incidents after {time.monotonic() - began:.0f} s")
            yield _row(here, template, size, goal, 3 if quick else 15, say)


def _row(here: Stage, template: str, size: int, goal: float, times: int, say: Callable[[str], None]) -> Row:
    with httpx.Client(base_url=f"http://127.0.0.1:{here.web_port}", timeout=60) as client:
        entered = client.post("/login", data={"token": SECRET, "who": "Ada", "next": "/"})
        client.cookies.update(entered.cookies)
        asked = dict(_listings(here, client, template, size))
        took = {name: [_p95(ask, times) for _ in range(ROUNDS)] for name, ask in asked.items()}
    slowest = sorted(took, key=lambda name: -median(took[name]))
    for name in slowest:
        say(f"  {name}: p95 {median(took[name]):.1f} ms ({min(took[name]):.1f} to {max(took[name]):.1f})")
    worst = slowest[0]
    note = "; ".join(f"{name}: {median(took[name]):.0f} ms" for name in slowest[:8])
    return Row(
        10, f"p95 of the slowest of {len(took)} listings, {size:,} incidents ({worst})", Goal("<", goal, "ms"),
        median(took[worst]), "ms", ratios=tuple(took[worst]), lenient=True, note=note,
    )  # fmt: skip


def _p95(ask: Callable[[], None], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1000)
    return quantiles(found, n=20, method="inclusive")[-1]


def _listings(here: Stage, client: httpx.Client, template: str, size: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Everything that can be listed or looked at, at its beginning and deep inside."""

    def get(path: str) -> Callable[[], None]:
        def ask() -> None:
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])

        return ask

    newest, deep, closed = (f"inc-{n:012d}" for n in (1, size - 100, OPEN + 5))
    for one in (newest, closed):
        for part in ("", "/events", "/explanation"):
            yield f"/api/v1/incidents/{one}{part}", get(f"/api/v1/incidents/{one}{part}")
        yield f"/incidents/{one}", get(f"/incidents/{one}")
    for path in (
        "/api/v1/incidents", "/api/v1/incidents?limit=500", f"/api/v1/incidents?before={deep}", "/api/v1/incidents?open=1",
        f"/api/v1/incidents?open=1&before={deep}", f"/api/v1/incidents?open=1&limit=500&before=inc-{OPEN // 2:012d}",
        f"/api/v1/incidents/{closed}/postmortem", f"/api/v1/incidents/{closed}/postmortem?format=markdown",
        "/api/v1/silences", "/api/v1/storms", "/api/v1/pollers", "/api/v1/runbooks", "/api/v1/runbooks/bench",
        "/api/v1/guards", "/metrics", "/readyz", "/", "/?part=1", "/?show=all", f"/?show=all&before={deep}", "/runbooks",
        "/runbooks/bench", "/guards", "/silences", "/sources",
    ):  # fmt: skip
        yield path, get(path)

    def audit() -> None:
        assert len(here.world.ledger.journals(deep, 200)) > 50
        assert here.world.ledger.verify_chain(template) is None

    yield AUDIT, audit
