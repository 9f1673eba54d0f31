"""What stands beside the incidents: pauses, silences, vetoes, promotions, the inventory, locks and spends as listed."""

from __future__ import annotations

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


class Standing(Value):
    """What the gate reads of the ledger just before an attempt, in one statement. Times on the ledger's clock."""

    now: AwareDatetime
    pauses: tuple[PauseRow, ...] = ()
    silence: str = ""
    vetoed_until: AwareDatetime | None = None
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
