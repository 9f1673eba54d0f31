"""Looks at an application from outside: its upstreams, its scale, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byteport.grammar.evidence import probe_with_options
from byteport.model.facts.application import PastDiagnosis, Upstreams, WorkloadScale
from byteport.model.target import Target
from byteport.model.units import days
from byteport.ports import Readers

METRICS = "metrics"
LEAKS_COUNT_FOR = days(7)


@probe_with_options(over=METRICS)
def circuit_breakers(_target: Target, readers: Readers, options: Mapping[str, Any]) -> Upstreams | None:
    """Open circuit breakers and the latency of upstreams."""
    return readers.metrics.upstreams(str(options["circuitBreakerQuery"]), str(options["upstreamLatencyQuery"]))


@probe_with_options(over=METRICS)
def scale(_target: Target, readers: Readers, options: Mapping[str, Any]) -> WorkloadScale | None:
    """Replicas of the Deployment, and how far its HPA may go."""
    workload = str(options["deployment"])
    return readers.metrics.scale(workload) if workload else None


@probe_with_options(over="ledger")
def known_leaks(_target: Target, readers: Readers, options: Mapping[str, Any]) -> tuple[PastDiagnosis, ...]:
    """Memory leaks that were diagnosed in the Deployment in the last seven days."""
    workload = str(options["deployment"])
    if not workload:
        return ()
    return readers.past.diagnosed(
        "oomkilled_memory_pressure", "genuine_memory_leak", f"deployment:{workload}", LEAKS_COUNT_FOR
    )
