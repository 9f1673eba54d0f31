"""One step to perform, as the gate takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from byteport.grammar.action import Action
from byteport.grammar.evidence import Evidence
from byteport.grammar.plan import Do
from byteport.grammar.runbook import Runbook
from byteport.grammar.verdict import Verdict
from byteport.records.change import Lease
from byteport.records.incident import Incident
from byteport.records.intent import Direction, Intent, intent_key


@dataclass(frozen=True)
class Errand:
    """One step to perform: what, for whom, under which claim, and what is known."""

    page: Runbook
    incident: Incident
    lease: Lease
    number: int
    step: Do
    evidence: Evidence
    direction: Direction = "do"
    spent: frozenset[str] = frozenset()  # budgets that earlier steps have spent on
    done: frozenset[str] = frozenset()  # moves of earlier steps that ended well
    seen: Mapping[str, Intent] | None = None  # the incident's intents, where they were read under this claim already
    heard: list[Verdict] = field(default_factory=list, compare=False)  # what the guards said, for the journal

    @property
    def action(self) -> Action:
        return self.step.action

    @property
    def key(self) -> str:
        plan = self.incident.plan
        return intent_key(self.incident.id, plan.digest if plan else "", self.number, self.direction)
