"""Guards that only the page on saturated CPUs has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from byteport.grammar.action import Action
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Requires
from byteport.grammar.truth import truth_of
from byteport.grammar.verdict import Verdict
from byteport.model.signal import Mode
from byteport.runbooks.linux.cpu_saturation_evidence import LEAST_SHARE, CpuEvidence

DEMOTIONS = "demotion_rate"


@dataclass(frozen=True, kw_only=True)
class Sustained(Requires):
    """A rehearsal has only the first of the two looks, and says so; nothing is written by it."""

    def check(self, action: Action, facts: Facts) -> Verdict:
        if facts.mode is not Mode.DRY_RUN:
            return super().check(action, facts)
        truth = truth_of(CpuEvidence.saturated, facts.evidence)
        if truth.value:
            return self.allow(f"so far: {truth.because}; a live run looks again", limit=self.value)
        return self.deny(f"not so: {truth.because}", limit=self.value, lifts=f"once this holds: {self.value}")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "scope": "per host"}


def demoted_first(unit: str, facts: Facts) -> str:
    """This incident has demoted that very service, and has waited since for as long as it must."""
    tried = [key for key in facts.spent if f".{DEMOTIONS}:" in key and f"service:{unit}@" in key]
    if not tried:
        return f"{unit} was not demoted first"
    evidence = facts.evidence
    if facts.mode is Mode.DRY_RUN:
        return ""
    assert isinstance(evidence, CpuEvidence)  # noqa: S101 - the page's own
    waited = (evidence.looked_at - evidence.acted_at).total_seconds() if evidence.acted_at is not None else 0.0
    return "" if waited >= evidence.recheck else f"{unit} was demoted only {waited:.0f} s ago"


def still_the_matter(unit: str, facts: Facts) -> str:
    """The CPUs are not below the recovery level, and it is that service which keeps them there."""
    evidence = facts.evidence
    assert isinstance(evidence, CpuEvidence)  # noqa: S101 - the page's own
    now = evidence.cpu_now
    if now.use.busy < evidence.recover:
        return f"the CPUs are {now.use.busy:g} % busy, below {evidence.recover:g} %"
    least = max(LEAST_SHARE, now.use.busy - evidence.recover)
    return "" if now.of(unit) >= least else f"{unit} uses only {now.of(unit):g} % of the CPUs by now"
