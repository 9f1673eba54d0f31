"""What stands beside the incidents: pauses, silences, vetoes, promotions, the inventory, locks and spends as listed."""

from __future__ import annotations

from datetime import timedelta

from pydantic import AwareDatetime

from byteport.grammar.verdict import Count
from byteport.model.base import Value
from byteport.model.signal import Mode


class PauseRow(Value):
    """The kill switch: `runbook` empty is everything."""

    id: int
    runbook: str = ""
    why: str
    who: str
    since: AwareDatetime


class Promotion(Value):
    """A runbook's mode as people set it. `live_since` dates the first day's rate."""

    runbook: str
    mode: Mode
    live_since: AwareDatetime | None = None
    who: str = ""
    why: str = ""


class HeldLock(Value):
    """A lock as listed."""

    key: str
    incident: str
    exclusive: bool
    since: AwareDatetime
    until: AwareDatetime


class Veto(Value):
    """A page leaves a target alone. `incident` saw the reason and tells people; empty where a person ordered it."""

    until: AwareDatetime
    why: str
    incident: str = ""


class NewVeto(Value):
    """What is stored of one; `intent` is the act that somebody undid."""

    runbook: str
    target_key: str
    why: str
    length: timedelta = timedelta(hours=24)
    intent: str | None = None
    incident: str = ""


class Standing(Value):
    """What the gate reads of the ledger just before an attempt, in one statement. Times on the ledger's clock.

    `lasting` names the acts of this page on this target that should still stand.
    """

    now: AwareDatetime
    pauses: tuple[PauseRow, ...] = ()
    silence: str = ""
    veto: Veto | None = None
    lasting: tuple[str, ...] = ()
    self_keys: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    promotion: Promotion | None = None
    storm: str = ""
    known_targets: int = 0
    configurations: tuple[str, ...] = ()


class GuardRow(Value):
    """A budget or a lock as `byteport guards list` shows it."""

    key: str
    kind: str
    used: int
    limit: int | None = None
    holder: str = ""
    frees_at: AwareDatetime | None = None
    count: Count | None = None
