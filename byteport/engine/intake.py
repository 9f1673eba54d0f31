"""Signal -> Incident: one open incident for a page and a target. Returned means stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import BadInput, BytePortError, Unavailable
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target
from byteport.records.incident import Phase
from byteport.redaction import redact, redact_text
from byteport.stores import Ledger, Wakeups
from byteport.stores_signals import Admission, Opening, Seen

# What became of one of many: its admission, None for a resolved one, or the error of that one alone.
Taken = Admission | None | Exception


@dataclass(frozen=True)
class ByHand:
    """A person's own run: live for that one incident where `mode` says so, moved by `driver` where it is named."""

    person: str
    mode: Mode
    runbook: str
    driver: str = ""


@dataclass(frozen=True)
class Intake:
    ledger: Ledger
    wakeups: Wakeups
    pages: Pages
    policy: Policy

    def take(self, signal: Signal, by_hand: ByHand | None = None) -> Admission | None:
        """Store the signal and wake a worker. None for a resolved signal, which only dates the condition's end.

        Raises BadSignal (nobody claims it), BadInput (a switch forbids a person's live run) and Unavailable (nothing
        is stored: never answer success).
        """
        if signal.resolved:
            page = self._page(signal, by_hand)
            self.ledger.condition_cleared(page.name, _clean(signal.with_(target=self._placed(signal.target))))
            return None
        admission = self._by_hand(signal, by_hand) if by_hand is not None else self._alone(signal)
        if not admission.absorbed and not (by_hand and by_hand.driver):
            self.wakeups.ring(admission.incident, Phase.OPEN)
        return admission

    def _alone(self, signal: Signal) -> Admission:
        """A group of one."""
        (became,) = self._admitted([signal])
        if isinstance(became, Admission):
            return became
        raise became or BadInput("signal", "one that fires")

    def take_all(self, signals: Sequence[Signal]) -> list[Taken]:
        """Each as `take` would have, in this order, many in one transaction; the error of one stands in its place.
        Rings nothing: answer first, and then `ring_all` those that were opened. Raises Unavailable, and then none of
        them may be answered with success."""
        became: list[Taken] = []
        for resolved, run in groupby(signals, key=lambda signal: signal.resolved):
            some = list(run)
            became += [self._cleared(signal) for signal in some] if resolved else self._admitted(some)
        return became

    def ring_all(self, incidents: Sequence[str]) -> None:
        """Wake workers for what was opened."""
        self.wakeups.ring_all(incidents, Phase.OPEN)

    def _admitted(self, signals: Sequence[Signal]) -> list[Taken]:
        """What is told again is answered from what is stored; the rest is opened or absorbed together."""
        became: dict[int, Taken] = {}
        asked: dict[int, Opening] = {}
        for n, signal in enumerate(signals):
            try:
                page = self._page(signal)
            except BadInput as wrong:
                became[n] = wrong
                continue
            asked[n] = Opening(signal=signal, runbook=page.name, page=page.digest, mode=Mode.DRY_RUN, once=page.once)
        if asked:
            became |= zip(asked, self.ledger.admit_all(list(asked.values()), self._settled), strict=True)
        return [became[n] for n in range(len(signals))]

    def _settled(self, opening: Opening, seen: Seen) -> Opening:
        """With the target as it is known, without secrets, and with the mode that holds."""
        told = opening.signal.target
        target = self.policy.configured(told) or seen.targets.get(str(told)) or told
        mode = self.policy.mode_of(opening.runbook, seen.promotions.get(opening.runbook))
        return opening.model_copy(update={"signal": _clean(opening.signal, target), "mode": mode})

    def _cleared(self, signal: Signal) -> Taken:
        try:
            return self.take(signal)
        except Unavailable:
            raise
        except BytePortError as wrong:
            return wrong

    def _page(self, signal: Signal, by_hand: ByHand | None = None) -> Runbook:
        page = self.pages[by_hand.runbook] if by_hand else self.pages.route(signal)
        if page.target is not signal.target.kind:
            raise BadInput("target.kind", f"{page.target} for {page.name}, got {signal.target.kind}")
        return page

    def _placed(self, target: Target) -> Target:
        """Where a target lives is the word of configuration and inventory, never of whoever sends a signal: caps, locks
        and self-protection hang on it. Only of what nobody knows is the sender believed."""
        return self.policy.configured(target) or self.ledger.known_target(target) or target

    def _by_hand(self, signal: Signal, by_hand: ByHand) -> Admission:
        page = self._page(signal, by_hand)
        if by_hand.mode is not Mode.DRY_RUN and (switch := self.policy.forbidding_switch(page.name)):
            raise BadInput("--no-dry-run", f"forbidden by {switch}")
        opening = Opening(
            signal=_clean(signal.with_(target=self._placed(signal.target))),
            runbook=page.name,
            page=page.digest,
            mode=by_hand.mode,
            person=by_hand.person,
            driver=by_hand.driver,
            driver_for=timedelta(seconds=60),
        )
        return self.ledger.admit(opening)


def _clean(signal: Signal, target: Target | None = None) -> Signal:
    """Without secrets, as it is stored, and with the target as it is known here. What a target is called stays, for it
    is known by that; how to reach it never holds a secret, unless a sender put one there."""
    known = target or signal.target
    if known.coordinates:
        reached = {name: redact_text(value) for name, value in known.coordinates.items()}
        known = known.with_(coordinates=reached)
    clean = {"raw": redact(signal.raw), "labels": redact(signal.labels), "summary": redact(signal.summary)}
    return signal.with_(**clean, target=known)  # validated: what is struck out may have made a text too long
