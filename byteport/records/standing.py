"""What stands beside the incidents: pauses, silences, vetoes, promotions, the inventory, guards as listed, resets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import AwareDatetime, Field

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


class Matcher(Value):
    """A label that must have a value, must not, or must (not) match a pattern as a whole; a missing label is an empty
    text. As Alertmanager has them. A pattern that cannot be read here agrees with everything: a silence that nobody
    understands holds."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def agrees(self, labels: Mapping[str, str]) -> bool:
        told = labels.get(self.name, "")
        if not self.is_regex:
            return (told == self.value) is self.is_equal
        try:
            return (re.fullmatch(self.value, told) is not None) is self.is_equal
        except re.error:
            return True

    def __str__(self) -> str:
        sign = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        return f"{self.name}{sign[self.is_regex, self.is_equal]}{self.value}"


class ForeignSilence(Value):
    """A silence as another system has it."""

    id: str
    matchers: tuple[Matcher, ...] = Field(min_length=1)
    why: str
    who: str
    since: AwareDatetime
    until: AwareDatetime


class SilenceRow(Value):
    """A silence as it stands in the ledger; `origin` names the other system that has it, empty for one of ours."""

    id: int
    match: dict[str, object] = Field(default_factory=dict)
    matchers: tuple[Matcher, ...] = ()
    origin: str = ""
    why: str
    who: str
    since: AwareDatetime
    until: AwareDatetime

    @property
    def selects(self) -> str:
        """In words."""
        if self.matchers:
            return " ".join(map(str, self.matchers))
        return " ".join(f"{name}={value}" for name, value in sorted(self.match.items()))


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

    `lasting` names the acts of this page on this target that should still stand. `acted_ago`: since another
    incident of this page and target acted last, or closed after it had acted.
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
    acted_ago: timedelta | None = None


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
