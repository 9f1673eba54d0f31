"""Guards of the pages that touch a host's services: what a service's own files allow, and what nothing allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from byteport.actions.units import OfUnit
from byteport.errors import NotKnown
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts, Guard
from byteport.grammar.verdict import Verdict
from byteport.model.facts.system_units import LABEL, denied

DENIED = "byteport, systemd*, sshd, dockerd, containerd, kubelet and their like"


@dataclass(frozen=True, kw_only=True)
class UnitGuard(Guard):
    """`why_not(unit, facts)` says why the action's service may not be touched; an empty text allows. `until_begun`: it
    is about what the action changes, and says nothing more once that has begun."""

    why_not: Callable[[str, Facts], str]
    value: str = ""
    scope_name: str = "per unit"
    as_kind: str = "precondition"
    until_begun: bool = False

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.as_kind

    def check(self, action: Action, facts: Facts) -> Verdict:
        if not isinstance(action, OfUnit):
            return self.deny("it is no action on a service")
        if self.until_begun and facts.begun:
            return self.allow("begun: it held before", limit=self.value)
        try:
            why = self.why_not(action.unit, facts)
        except NotKnown as gap:
            return self.deny(f"unknown ({gap})", limit=self.value, lifts=f"once {gap.field} answers ({gap.why})")
        if not why:
            return self.allow(limit=self.value)
        return self.deny(why, limit=self.value, lifts=f"once this holds for {action.unit}: {self.value}")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": self.value, "scope": self.scope_name}


def _not_labelled(unit: str, facts: Facts) -> str:
    found = facts.evidence.safe_label.of(unit)  # type: ignore[attr-defined]
    if found is None:
        return f"{unit} does not carry {LABEL}=safe"
    if found.is_opted_in:
        return ""
    return found.why or f"{unit} has {LABEL}={found.label}"


def _never_touched(unit: str, facts: Facts) -> str:
    found = facts.evidence.safe_label.of(unit)  # type: ignore[attr-defined]
    return denied(unit, found.command if found is not None else "")


def restart_label() -> UnitGuard:
    """The service's own files say that it may be restarted; the page has a field `safe_label`."""
    return UnitGuard(name="restart_label", as_kind="label_gate", why_not=_not_labelled, reads=("safe_label",),
                     value="byteport.restart=safe, as X-Byteport-Restart=safe in a file of root's",
                     scope_name="per process")  # fmt: skip


def deny_list() -> UnitGuard:
    """Whatever its label says."""
    return UnitGuard(name="deny_list", as_kind="forbidden", why_not=_never_touched, reads=("safe_label",),
                     value=f"not one of: {DENIED}")  # fmt: skip
