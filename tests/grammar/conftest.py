from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.grammar.evidence import Failure
from byteport.model.target import Target, TargetKind
from tests.grammar.oom_facts import Deploy, Hpa, Node, Pod, Runtime, Series
from tests.grammar.oom_page import OomEvidence

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POD = Target(kind=TargetKind.POD, key="shop/shop/web", within=("deployment:shop/shop/web", "node:n1"))


def evidence(
    missing: tuple[str, ...] = (), age: timedelta = timedelta(0), options: dict[str, Any] | None = None, **changed: Any
) -> OomEvidence:
    """Evidence of an honest need: everything known, nothing odd, the limit too small."""
    facts: dict[str, Any] = {
        "pod": Pod(), "node": Node(), "hpa": None, "deploy": Deploy(), "runtime": Runtime(), "series": Series(), **changed,
    }  # fmt: skip
    return OomEvidence(
        target=POD,
        facts={name: fact for name, fact in facts.items() if name not in missing},
        failures={name: Failure(kind="timeout", text="no answer") for name in missing},
        taken_at=dict.fromkeys(facts, NOW - age),
        looked_at=NOW,
        options=options or {},
    )


@pytest.fixture
def told() -> Callable[..., OomEvidence]:
    return evidence


BIG_HEAP = {"runtime": Runtime(heap=900)}
PRESSED_NODE = {"node": Node(memory_pressure=True), "pod": Pod(usage=0.5)}
LEAK = {"series": Series(rss_slope_per_restart=(1.0, 2.0, 0.5))}
TRAFFIC = {"series": Series(correlation_with_rps=0.9)}
WITH_HPA = {"hpa": Hpa()}
