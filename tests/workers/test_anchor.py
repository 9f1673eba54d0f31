"""The anchor of all journals stands in the workers' log, where who rewrites the ledger does not reach it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from byteport.testing.time_travel import travel
from tests.servers import eventually
from tests.workers.workshop import Workshop

pytestmark = pytest.mark.real


def test_the_task_logs_one_line_that_the_ledger_answers_for(fleet: Callable[..., Workshop], ledger_url: str) -> None:
    shop = fleet("decide")
    shop.signal()
    travel(ledger_url, 600)
    shop.world.engine.wakeups.signature("byteport.anchor").apply_async()

    def logged() -> list[dict[str, Any]]:
        lines = [line for line in shop.log("decide").splitlines() if '"journal_anchor"' in line]
        return [json.loads(line) for line in lines]

    (line,) = eventually(logged, within=20)
    anchor = shop.world.engine.anchor(datetime.fromisoformat(line["as_of"]))
    assert (line["incidents"], line["digest"]) == (anchor.incidents, anchor.digest) == (1, line["digest"])
