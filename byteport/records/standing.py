"""What stands beside the incidents: pauses, silences, vetoes, promotions, the inventory, guards as listed, resets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pydantic import AwareDatetime

from byteport.model.base import Value
from byteport.model.signal import Mode


class PauseRow(Value):
    """The kill switch: `runbook` empty is everything."""

    id: int
    runbook: str = ""
    why: str
    who: str
    since: AwareDatetime


def when_resumed(who: Sequence[str], here: str = "") -> str:
    """What ends these people's pauses, and a switch of this process or host, as "it may act …" goes on."""
    ends = [f"the pause by {name} is resumed" for name in dict.fromkeys(who)]
    ends += [f"this holds here no longer: {here}"] if here else []
    return f"when {' and '.join(ends)}" if ends else ""


class Promotion(Value):
    """A runbook's mode as people set it. `live_since` dates the first day's rate."""

    runbook: str
    mode: Mode
    live_since: AwareDatetime | None = None
    who: str = ""
    why: str = ""


class HeldLock(Value):
    """A lock as listed. `capacity` 0: it is no place among many; `until` is put off while its holder lives."""

    key: str
    incident: str
    exclusive: bool
    capacity: int = 0
    guard: str = ""
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
    silenced_until: AwareDatetime | None = None
    veto: Veto | None = None
    lasting: tuple[str, ...] = ()
    self_keys: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    promotion: Promotion | None = None
    storm: str = ""
    storm_until: AwareDatetime | None = None
    known_targets: int = 0
    configurations: tuple[str, ...] = ()


class GuardRow(Value):
    """A budget, a cooldown or a lock that is in use. `holder` names the incidents, `used` counts against `limit`.

    `frees_at` is when the first of it comes back, on the ledger's clock; None: never by itself.
    """

    key: str
    kind: str
    used: int
    limit: int | None = None
    holder: str = ""
    frees_at: AwareDatetime | None = None
    seconds_left: float | None = None


class Reset(Value):
    """A person's word that what was spent on a key until then counts no more."""

    key: str
    who: str
    why: str
    at: AwareDatetime
    spends: int
