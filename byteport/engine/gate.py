"""The one door. Every mutation passes `Gate.perform`, for each step and before every attempt; nothing else applies.

In order: a settled intent answers for itself; one that was begun is looked at; facts are read now; every guard is
asked; budgets are reserved, all or none; the ledger opens the intent and has the last word; an attempt begins under a
live claim; the effect; the outcome. Whatever is missing or unreachable denies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from byteport.engine.asking import as_granted, as_narrow, asked, member_forbidden, store_gone, too_old
from byteport.engine.errand import Errand
from byteport.engine.facts import look_now
from byteport.engine.policy import Policy
from byteport.engine.rebuilding import rebuild
from byteport.engine.standing import standing_guards
from byteport.engine.veto import heeded
from byteport.errors import Overspent, Paused, Permanent, Refusal, Stale, Transient, Unavailable
from byteport.grammar.action import Action
from byteport.grammar.guards import Facts, Guard
from byteport.grammar.verdict import Grant, Verdict
from byteport.model.base import Json
from byteport.model.units import seconds
from byteport.ports import Readers, Writers
from byteport.records.change import Lease
from byteport.records.intent import Intent, NewIntent
from byteport.records.outcome import Done, Failed, Held, Outcome, Refused
from byteport.stores import Budgets, Ledger

LOOK_AGAIN = seconds(5)
UNTOLD = Held(after=LOOK_AGAIN, reason="cannot tell whether it is so already")
OUTDATED = "budgets_epoch"  # the guard that the ledger names where a grant's epoch has passed


@dataclass(frozen=True)
class Gate:
    ledger: Ledger
    budgets: Budgets
    readers: Readers
    writers: Writers
    policy: Policy
    settled: list[Intent] = field(default_factory=list, compare=False)  # by this gate, as they were stored

    def perform(self, errand: Errand) -> Outcome:
        """Carry the step out once, or say why not. Raises Stale (another worker's by now) and Unavailable (ledger)."""
        intent = self.ledger.find_intent(errand.key) if errand.seen is None else errand.seen.get(errand.key)
        if intent is not None and intent.outcome is not None:
            return intent.outcome  # settled before a crash
        if intent is not None and intent.attempts and self._holds(intent):
            return self._settle(intent, Done(note="seen to have happened", effect=intent.effect))
        facts = self._facts(errand)
        if isinstance(facts, Held):
            return facts
        facts = replace(facts, begun=intent is not None and bool(intent.attempts))
        guards = self.guards_of(errand)
        action, verdicts = asked(intent.action if intent is not None else errand.action, guards, facts)
        if intent is None or not self._is_waited_for(intent, errand):
            verdicts = (*verdicts, *too_old(facts))
        if intent is not None and action != intent.action:
            verdicts = (*verdicts, member_forbidden())
        errand.heard[:] = verdicts
        if not all(verdicts):
            return self._refuse(intent, verdicts)
        try:
            if intent is None:
                return self._first(errand, action, guards, facts)
            return self._carry_out(intent, errand)
        except Refusal as refusal:  # paused, or overspent by the ledger's count
            with suppress(Unavailable):  # refused all the same; whoever asks next finds the epoch outdated
                if isinstance(refusal, Overspent) and not self._was_rebuilt_since(refusal.verdict):
                    rebuild(self.ledger, self.budgets)
            return self._refuse(intent, (*verdicts, refusal.verdict))

    def _facts(self, errand: Errand) -> Facts | Held:
        """As they are now, and whether what was done before still stands; Held where that cannot be looked at now."""
        facts = look_now(self.ledger, self.policy, errand)
        facts = replace(facts, evidence=facts.evidence.watched())
        try:
            return heeded(self.ledger, self.readers, errand.incident.signal.target, facts)
        except Unavailable:
            raise
        except Transient as hiccup:
            return _cannot_look(hiccup)

    def guards_of(self, errand: Errand) -> tuple[Guard, ...]:
        """The standing guards, then the page's, then the move's; an undo passes those that bind it."""
        standing = standing_guards(self.policy)
        if errand.direction == "undo":
            return standing
        return standing + errand.page.guards_of(errand.step.move)

    def _first(self, errand: Errand, action: Action, guards: Sequence[Guard], facts: Facts) -> Outcome:
        """Reserve, look whether it is so already, and open the intent with its first attempt: all or nothing."""
        new = self._reserved(errand, action, guards, facts)
        if not isinstance(new, NewIntent):
            return new
        try:
            was_so = new.action.holds(self.readers, new)
        except Transient as hiccup:
            self._give_back(new.key)
            return _cannot_look(hiccup)
        if was_so is None:  # unknown is not "not so": what was there before would be undone as ours
            self._give_back(new.key)
            return UNTOLD
        try:
            if was_so:  # it is written down first, and then settled as what it is
                return self._carry_out(self.ledger.open_intent(new, errand.lease), errand)
            intent, begun = self.ledger.open_and_begin(new, errand.lease, new.action.timeout, errand.incident.runbook)
        except (Overspent, Paused, Permanent, Stale):  # whoever has gone on under this key is counted by the ledger
            self._give_back(new.key)
            raise
        return self._apply(intent, errand) if begun else self._carry_out(intent, errand)

    def _reserved(
        self, errand: Errand, action: Action, guards: Sequence[Guard], facts: Facts
    ) -> NewIntent | Refused | Held:
        claims = tuple(claim for guard in guards for claim in guard.claims(action, facts))
        try:
            before: Json = action.look_before(self.readers)
        except Transient as hiccup:
            return _cannot_look(hiccup)
        try:
            grant = self.granted(lambda: self.budgets.reserve(errand.key, claims))
        except Unavailable as gone:
            if errand.direction == "do":
                return Refused(verdicts=(store_gone(gone),))
            grant = Grant(key=errand.key, granted=True, amount=action.amount)  # the ledger counts it alone
        if not grant.granted:
            return Refused(verdicts=(grant.refusal,))
        granted = as_narrow(action, claims, grant)
        return NewIntent(
            key=errand.key,
            incident=errand.incident.id,
            step=errand.number,
            direction=errand.direction,
            move=errand.step.move,
            action=granted,
            asked=action.amount if granted.amount < action.amount else 0,
            claims=as_granted(claims, grant),
            grant=grant,
            pre_state=before,
            undo=errand.step.undo if errand.direction == "do" else None,
        )

    def granted(self, ask: Callable[[], Grant]) -> Grant:
        """Ask the budgets. A store that refuses in another epoch than the ledger's is empty, or counts what the ledger
        no longer does: it is first rebuilt, which delays and never overspends."""
        grant = ask()
        if grant.granted:
            return grant
        epoch = self.ledger.budgets_epoch()
        if 0 < epoch == grant.epoch:
            return grant
        if epoch == 0 or self.budgets.epoch() != epoch:  # else another process has rebuilt it since
            rebuild(self.ledger, self.budgets)
        return ask()

    def _was_rebuilt_since(self, refused: Verdict) -> bool:
        """The grant was of an older epoch, and another process has brought the store up to the ledger's since."""
        return refused.guard == OUTDATED and refused.limit == str(self.budgets.epoch())

    def _give_back(self, key: str) -> None:
        """A store that cannot be asked keeps counting what was not spent: that delays, and never overspends."""
        with suppress(Unavailable):
            self.budgets.give_back(key)

    def _carry_out(self, intent: Intent, errand: Errand) -> Outcome:
        """Ask for the effect until it shows. A slow action and a crashed one look the same."""
        action = intent.action  # as narrowed and journalled, never as planned
        if not intent.attempts:
            try:
                was_so = action.holds(self.readers, intent)
            except Transient as hiccup:
                return _cannot_look(hiccup)
            if was_so is None:
                return UNTOLD
            if was_so:
                return self._settle(intent, Done(ours=False, note="it was so before"), refund=True)
        if self._is_waited_for(intent, errand):
            return self._wait_or_give_up(intent, errand)
        begun = self.ledger.begin_attempt(intent, errand.lease, action.timeout, errand.incident.runbook)
        return self._apply(begun, errand)

    def _apply(self, intent: Intent, errand: Errand) -> Outcome:
        """Of an attempt that has begun: the effect, what was answered, and how it ended where it shows."""
        action = intent.action
        if not errand.lease.lasts(action.timeout):  # this process stood still, and another may be at it
            return Held(after=LOOK_AGAIN, reason="stood still before the effect: it is looked at anew")
        try:
            effect = action.apply(self.writers, intent)
        except Permanent as refusal:
            return self._settle(intent, Failed(reason=str(refusal)))
        except Transient as hiccup:
            return Held(after=seconds(10), reason=str(hiccup))
        intent = self.ledger.mark_answered(intent, effect)
        if not self._holds(intent):
            return Held(after=LOOK_AGAIN, reason="the effect is not visible yet")
        return self._settle(intent, Done(note=effect.note, effect=effect))

    def _is_waited_for(self, intent: Intent, errand: Errand) -> bool:
        """Begun, and never sent again: evidence that is too old to act on does not end it."""
        sent_once = intent.answered or not intent.action.idempotent
        return bool(intent.attempts) and (sent_once or self._overdue(intent, errand))

    def _wait_or_give_up(self, intent: Intent, errand: Errand) -> Outcome:
        """Never sent again: waited for within the action's patience, then unknown."""
        if (why := self._failed(intent)) and not self._holds(intent):
            return self._settle(intent, Failed(reason=why))
        if not self._overdue(intent, errand):
            return Held(after=LOOK_AGAIN, reason="begun; waiting for the effect to show")
        return self._settle(intent, Failed(reason="begun, effect never seen", unknown=True))

    def _overdue(self, intent: Intent, errand: Errand) -> bool:
        began = intent.begun_at or intent.opened_at
        return errand.lease.now - began > intent.action.patience

    def _holds(self, intent: Intent) -> bool:
        """Whether it is so at the target; what cannot be told, a bug included, is not so."""
        try:
            return bool(intent.action.holds(self.readers, intent))
        except Exception:  # noqa: BLE001 - else one broken `holds` would keep its intent open for ever
            return False

    def _failed(self, intent: Intent) -> str:
        """Why it has ended without its effect; what cannot be told may still come."""
        try:
            return intent.action.failed(self.readers, intent)
        except Exception:  # noqa: BLE001 - as for `holds`
            return ""

    def _settle(self, intent: Intent, outcome: Done | Failed | Refused, *, refund: bool = False) -> Outcome:
        settled = self.ledger.settle(intent, outcome, refund=refund)
        self.settled.append(settled)
        if refund:
            self._give_back(intent.key)
        return settled.outcome or outcome

    def _refuse(self, intent: Intent | None, verdicts: Sequence[Verdict]) -> Outcome:
        """Nothing more is written. After an attempt the intent is stopped, so that its undo rules run; what may only
        wait, as an undo may, keeps its intent."""
        refused = Refused(verdicts=tuple(verdicts))
        if intent is None or intent.direction == "undo" or (not intent.attempts and refused.blocking.on_hit == "wait"):
            return refused
        if intent.attempts and not intent.answered:
            return refused  # its effect may still come: it is looked at until its patience is over
        if intent.attempts:
            stopped = f"stopped: {refused.blocking.guard}: {refused.blocking.reason}"
            return self._settle(intent, Failed(reason=stopped))
        self._settle(intent, refused, refund=True)
        return refused

    def is_seen(self, intent: Intent) -> bool:
        """Settle an attempt whose effect shows; False: it does not, and nothing was settled."""
        seen = self._holds(intent)
        if seen:
            self._settle(intent, Done(note="seen to have happened", effect=intent.effect))
        return seen

    def close_out(self, intent: Intent, lease: Lease) -> bool:
        """Settle an intent nobody will carry on: done, never begun, or unknown after its patience; False: not yet."""
        if intent.outcome is not None:
            return True
        if not intent.attempts:
            self._settle(intent, Failed(reason="never begun"), refund=True)
        elif self.is_seen(intent):
            return True
        elif why := self._failed(intent):
            self._settle(intent, Failed(reason=why))
        elif lease.now - (intent.begun_at or intent.opened_at) > intent.action.patience:
            self._settle(intent, Failed(reason="begun, effect never seen", unknown=True))
        else:
            return False
        return True


def _cannot_look(hiccup: Transient) -> Held:
    return Held(after=LOOK_AGAIN, reason=f"cannot look before acting: {hiccup}")
