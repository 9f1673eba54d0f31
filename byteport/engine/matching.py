"""What silences, maintenance windows and teams select by: a signal's labels, and its runbook, target, kind, name
and source."""

from __future__ import annotations

from collections.abc import Mapping

from byteport.model.signal import Signal


def facts_of(runbook: str, signal: Signal) -> dict[str, str]:
    """What can be selected by; the five words stand before labels of the same name."""
    of_ours = {
        "runbook": runbook,
        "target": signal.target.key,
        "kind": str(signal.target.kind),
        "signal": signal.name,
        "source": signal.source,
    }
    return {**signal.labels, **of_ours}


def agrees(match: Mapping[str, str], facts: Mapping[str, str]) -> bool:
    """Whether all that is named agrees; an empty match selects nothing."""
    return bool(match) and all(facts.get(name) == value for name, value in match.items())
