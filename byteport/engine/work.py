"""What a move works with: the incident, its claim, its page, and what is known so far."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from byteport.engine.errand import Errand
from byteport.engine.gate import Gate
from byteport.engine.gathering import gather
from byteport.engine.policy import Policy
from byteport.grammar.evidence import Evidence, fields_of
from byteport.grammar.plan import Do
from byteport.grammar.runbook import Runbook
from byteport.grammar.story import Performed, Story
from byteport.grammar.truth import Condition, Truth, truth_of
from byteport.model.units import seconds
from byteport.records.change import NOTHING_READ, Change, Known, Lease
from byteport.records.event import Event, StoredEvent
from byteport.records.evidence import Round
from byteport.records.incident import Incident, Phase
from byteport.records.intent import Intent, Obligation
from byteport.records.outcome import Done, Failed
from byteport.stores import Ledger

DIAGNOSIS_DEADLINE = 90.0
GROUP_LEASE = 15.0
SLOW_PROBE = seconds(10)
LOOK_LASTS = seconds(60)  # beside what the probe itself may take: then whoever was to decide has stood still
MOST_RELOOKS = 3


@dataclass(frozen=True)
class Work:
    """One move's view. Everything it computes is read once; nothing here changes anything."""

    incident: Incident
    lease: Lease
    page: Runbook
    ledger: Ledger
    gate: Gate
    policy: Policy
    has_hands: bool = True
    stands_in: bool = False
    known: Known = NOTHING_READ  # what was read with the claim
    at: datetime | None = None

    @property
    def now(self) -> datetime:
        """The ledger's clock when the claim was granted, or a step's outcome was settled since."""
        return self.at or self.lease.now

    @property
    def is_looking(self) -> bool:
        """A round is out and its deadline has not passed: whatever woke the incident, there is nothing to do yet."""
        incident = self.incident
        return incident.pending > 0 and incident.look_until is not None and incident.look_until > self.now

    @cached_property
    def evidence(self) -> Evidence:
        incident = self.incident
        return gather(
            self.page,
            incident.signal.target,
            self.ledger.answers(incident.id) if self.known.answers is None else self.known.answers,
            self.now,
            self.policy.options_of(self.page, incident.signal.target),
            incident.acted_at,
            self.earlier.evidence.before if self.earlier is not None else None,
            incident.looked_before,
        )

    @cached_property
    def earlier(self) -> Story | None:
        """What became of the incident that this one follows."""
        followed = self.ledger.incident(self.incident.follows) if self.incident.follows else None
        if followed is None:
            return None
        target, answers = followed.signal.target, self.ledger.answers(followed.id)
        options = self.policy.options_of(self.page, target)
        return Story(
            evidence=gather(self.page, target, answers, self.now, options, followed.acted_at),
            diagnosis=followed.diagnosis,
            performed=tuple(map(performed, self.ledger.intents_of(followed.id))),
            reason=followed.reason,
            link=self._link_to(followed.id),
        )

    def _link_to(self, incident: str) -> str:
        return f"{self.policy.base_url.rstrip('/')}/incidents/{incident}"

    @cached_property
    def intents(self) -> Sequence[Intent]:
        return self.ledger.intents_of(self.incident.id) if self.known.intents is None else self.known.intents

    @cached_property
    def events(self) -> Sequence[StoredEvent]:
        """Read anew where this move may have added lines to it, which it does by settling what was open."""
        settles = any(intent.outcome is None for intent in self.intents)
        if self.known.events is None or settles:
            return self.ledger.events(self.incident.id)
        return self.known.events

    @property
    def has_written(self) -> bool:
        """Whether any attempt of this incident had begun when it was read; the ledger dates the first one."""
        return self.incident.acted_at is not None

    @property
    def has_done(self) -> bool:
        """Whether any step ended well, also where it was so before."""
        return any(isinstance(intent.outcome, Done) for intent in self.intents)

    def errand(self, number: int, step: Do, direction: Any = "do") -> Errand:
        ours = [intent for intent in self.intents if intent.direction == "do"]
        spent = frozenset(claim.key for intent in ours if intent.attempts for claim in intent.claims)
        done = frozenset(intent.move for intent in ours if isinstance(intent.outcome, Done))
        return Errand(
            self.page, self.incident, self.lease, number, step, self.evidence, direction, spent=spent, done=done,
            seen={intent.key: intent for intent in self.intents} if direction == "do" else None,
        )  # fmt: skip

    def story(self, reason: str = "") -> Story:
        incident = self.incident
        return Story(
            evidence=self.evidence,
            diagnosis=incident.diagnosis,
            performed=tuple(map(performed, self.intents)),
            reason=reason or incident.reason,
            link=self._link_to(incident.id),
            earlier=self.earlier,
        )

    @property
    def wants_hands(self) -> bool:
        """Something is open or owed that only a process with a way to the target can settle, and this one has none."""
        return not self.has_hands and (any(i.outcome is None for i in self.intents) or bool(self.owed))

    @cached_property
    def owed(self) -> Sequence[Obligation]:
        return self.ledger.owed(self.incident.id) if self.known.owed is None else self.known.owed

    def check(self, name: str) -> Truth:
        """A check of the page by the name of its evidence method, on the newest evidence."""
        return self.truth_of(getattr(self.page.evidence, name), self.page.checks.get(name, ()))

    def truth_of(self, condition: Condition, named: Iterable[str]) -> Truth:
        """Unknown where it reads what it did not name and what nobody has looked at for too long: such a field is not
        looked at again with the others."""
        evidence = self.evidence.watched()
        truth = truth_of(condition, evidence)
        old = sorted(field for field in evidence.reads - set(named) if self.too_old((field,)))
        return Truth(None, f"{', '.join(old)}: too old, and not named by the check", tuple(old)) if old else truth

    def too_old(self, names: Iterable[str]) -> bool:
        """Whether an answer to one of these was taken too long ago to decide on it now."""
        known = fields_of(self.page.evidence)
        limits = {name: LOOK_LASTS + known[name].probe.timeout for name in names if name in known}
        return any(self.evidence.knows(name) and self.evidence.age_of(name) > most for name, most in limits.items())

    def look_again(self, names: tuple[str, ...]) -> Change | None:
        """A new round where what was seen is too old; a person where that happens again and again."""
        if not self.too_old(names):
            return None
        if self.incident.relooks >= MOST_RELOOKS:
            return self.escalate(f"{', '.join(names)}: every look was too old by the time it could be used")
        return self.look(names, "what was seen is too old to decide on", relooks=self.incident.relooks + 1)

    def then(self, incident: Incident) -> Work:
        """The next move's view, of what this one has decided and nobody has saved yet. Nothing was looked at in
        between, so what was seen is the same; what was done may not be."""
        if incident.cursor == self.incident.cursor:
            following = replace(self, incident=incident)
            if "evidence" in self.__dict__:
                following.__dict__["evidence"] = self.__dict__["evidence"]
            return following
        by_key = {intent.key: intent for intent in (*self.intents, *self.gate.settled)}
        ended = [intent.settled_at for intent in self.gate.settled if intent.settled_at is not None]
        known = Known(intents=tuple(by_key.values()))
        return replace(self, incident=incident, known=known, at=max([self.now, *ended]))

    def look(self, names: tuple[str, ...], why: str, *, at_most: float = math.inf, **changes: Any) -> Change:
        """Open a round that asks for these fields; the same phase goes on when it is in, or at its deadline (`at_most`
        so many seconds)."""
        groups = self.page.groups(names)
        lease, deadline = self._times(names)
        deadline = min(deadline, at_most)
        incident = self.incident.model_copy(
            update={
                "round": self.incident.round + 1,
                "pending": len(groups),
                "due_at": self.now + seconds(deadline),
                "look_until": self.now + seconds(deadline),
                "hiccups": 0,
                **changes,
            }
        )
        return Change(
            incident=incident,
            look=Round(groups=groups, purpose=why, lease_seconds=lease, deadline_seconds=deadline),
            events=(Event(kind="look", text=why, data={"round": incident.round, "groups": groups}),),
        )

    def _times(self, names: tuple[str, ...]) -> tuple[float, float]:
        """A round with a slow probe (a disk scan) gets a longer lease and deadline."""
        slow = any(fields_of(self.page.evidence)[name].probe.timeout > SLOW_PROBE for name in names)
        return (70.0, 160.0) if slow else (GROUP_LEASE, DIAGNOSIS_DEADLINE)

    def wait(self, delay: timedelta, *events: Event, **changes: Any) -> Change:
        """The same phase again, `delay` from now."""
        incident = self.incident.model_copy(
            update={
                "due_at": self.now + delay,
                "pending": 0,
                "hiccups": 0,
                "relooks": 0,
                "wants_hands": False,
                **changes,
            }
        )
        return Change(incident=incident, events=events)

    def go(self, phase: Phase, *events: Event, text: str = "", **changes: Any) -> Change:
        """The next phase, due at once; tells the journal."""
        incident = self.incident.to(phase, **{"due_at": self.now, "pending": 0, "wants_hands": False, **changes})
        told = Event(kind="phase", text=text or incident.reason, data={"from": self.incident.phase, "to": phase})
        return Change(incident=incident, events=(*events, told))

    def escalate(self, reason: str, *events: Event, **changes: Any) -> Change:
        """To a person, with the reason; whatever end was near, it has not come. What is owed is tried once before."""
        anew = {"reason": reason, "ending": "", "undo_checked_at": None}
        return self.go(Phase.ESCALATE, *events, text=reason, **{**anew, **changes})


def follows(before: Incident, after: Incident) -> bool:
    """Whether the second phase may be decided on together with the first: what lies between is decided, or settled in
    the ledger already, so whoever repeats it after a crash comes to the same. Another step waits for what is saved."""
    match before.phase, after.phase:
        case (Phase.PROBE, Phase.CLASSIFY) | (Phase.CLASSIFY, Phase.PLAN) | (Phase.ACT, Phase.VERIFY):
            return True
        case (Phase.ACT, Phase.ACT) if before.plan is not None:
            at_its_end = after.cursor > before.cursor and after.cursor >= len(before.plan.steps)
            return (after.locked and not before.locked) or at_its_end
        case _:
            return False


def jittered(base: timedelta) -> timedelta:
    """Between half and one and a half of `base`, so that those who wait for one thing do not come together."""
    return base * random.uniform(0.5, 1.5)  # noqa: S311  (spreads load; decides nothing)


def performed(intent: Intent) -> Performed:
    """An intent as it is told."""
    match intent.outcome:
        case Done() as done:
            how, note = ("done" if done.ours else "not_ours"), done.note
        case Failed() as failed:
            how, note = ("unknown" if failed.unknown else "failed"), failed.reason
        case None:
            how, note = "open", "not settled"
        case refused:
            how, note = "stopped", refused.blocking.reason
    return Performed(
        move=intent.move, action=intent.action, effect=intent.effect, how=how, note=note, left=intent.left,
        before=intent.pre_state,
    )  # fmt: skip
