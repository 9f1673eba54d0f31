"""A guard, and the facts that it is asked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from byteport.grammar.action import Action
from byteport.grammar.evidence import Evidence
from byteport.grammar.verdict import Claim, OnHit, Verdict
from byteport.model.signal import Mode


@dataclass(frozen=True)
class Facts:
    """What the gate read just before an attempt. `annotations` None means that they could not be read.

    `needed` are the locks of the whole plan, shared ones and places under a capacity included. `lasting` names this
    page's acts on the target that should still stand; `saw_the_veto`: it was this incident's own look that showed one
    of them undone by somebody. `asked`: a person has released the plan. `begun`: an attempt of this
    very action has begun. `spent` are the budgets that earlier steps of the incident have spent on, `done` the moves
    that it has carried out, or found to be so already. `resumes` says what would have to end for `paused` to be over;
    `…_until` are None where no end is known.
    """

    evidence: Evidence
    runbook: str
    incident: str
    now: datetime
    mode: Mode
    annotations: Mapping[str, str] | None = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    paused: str = ""
    resumes: str = ""
    silenced: str = ""
    silenced_until: datetime | None = None
    vetoed: str = ""
    vetoed_until: datetime | None = None
    saw_the_veto: bool = False
    lasting: tuple[str, ...] = ()
    self_keys: frozenset[str] = frozenset()
    gitops_owner: str = ""
    storm: str = ""
    storm_until: datetime | None = None
    undoing: bool = False
    begun: bool = False
    spent: frozenset[str] = frozenset()
    done: frozenset[str] = frozenset()
    other_configuration: str = ""
    live_since: datetime | None = None
    by_person: str = ""
    asked: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Base of all guards. `counter` names a shared counter; `option` a page option that may only tighten it."""

    name: str
    on_hit: OnHit = "escalate"
    counter: str = ""
    reads: tuple[str, ...] = ()
    option: str = ""

    kind: ClassVar[str] = "precondition"

    def check(self, action: Action, facts: Facts) -> Verdict:
        """Allowed or not, on these facts alone."""
        return self.allow()

    def narrow(self, action: Action, facts: Facts) -> Action:
        """The action without the members that this guard forbids."""
        return action

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        """What it takes of the shared budgets."""
        return ()

    def allow(self, reason: str = "", *, limit: object = "", current: object = "") -> Verdict:
        return Verdict(
            guard=self.name,
            kind=self.kind,
            allowed=True,
            reason=reason,
            limit=str(limit),
            current=str(current),
            on_hit=self.on_hit,
        )

    def deny(
        self,
        reason: str,
        *,
        limit: object = "",
        current: object = "",
        frees_at: datetime | None = None,
        lifts: str = "",
    ) -> Verdict:
        """`lifts` ends the sentence "it may act …"; left out where nothing would."""
        return Verdict(
            guard=self.name,
            kind=self.kind,
            allowed=False,
            reason=reason,
            limit=str(limit),
            current=str(current),
            frees_at=frees_at,
            on_hit=self.on_hit,
            lifts=lifts,
        )

    def listed(self) -> dict[str, Any]:
        """As data for `runbooks show`: {name, kind, scope, limit, window_seconds, value}."""
        return {"name": self.name, "kind": self.kind, "scope": "", "limit": None, "window_seconds": None, "value": ""}
