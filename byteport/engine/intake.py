"""Signal -> Incident: one open incident for a page and a target. Returned means stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.errors import BadInput
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target
from byteport.records.incident import Phase
from byteport.redaction import redact, redact_text
from byteport.stores import Admission, Ledger, Opening, Wakeups


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
        page = self.pages[by_hand.runbook] if by_hand else self.pages.route(signal)
        if page.target is not signal.target.kind:
            raise BadInput("target.kind", f"{page.target} for {page.name}, got {signal.target.kind}")
        signal = signal.with_(target=self._placed(signal.target))
        if signal.resolved:
            self.ledger.condition_cleared(page.name, _clean(signal))
            return None
        admission = self.ledger.admit(self._opening(signal, page, by_hand))
        if not admission.absorbed and not (by_hand and by_hand.driver):
            self.wakeups.ring(admission.incident, Phase.OPEN)
        return admission

    def _placed(self, target: Target) -> Target:
        """Where a target lives is the word of configuration and inventory, never of whoever sends a signal: caps, locks
        and self-protection hang on it. Only of what nobody knows is the sender believed."""
        return self.policy.configured(target) or self.ledger.known_target(target) or target

    def _opening(self, signal: Signal, page: Runbook, by_hand: ByHand | None) -> Opening:
        clean = _clean(signal)
        if by_hand is not None:
            if by_hand.mode is not Mode.DRY_RUN and (switch := self.policy.forbidding_switch(page.name)):
                raise BadInput("--no-dry-run", f"forbidden by {switch}")
            return Opening(
                signal=clean,
                runbook=page.name,
                page=page.digest,
                mode=by_hand.mode,
                person=by_hand.person,
                driver=by_hand.driver,
                driver_for=timedelta(seconds=60),
            )
        promotions = {row.runbook: row for row in self.ledger.promotions()}
        mode = self.policy.mode_of(page.name, promotions.get(page.name))
        return Opening(signal=clean, runbook=page.name, page=page.digest, mode=mode, once=page.once)


def _clean(signal: Signal) -> Signal:
    """Without secrets, as it is stored. What a target is called stays, for it is known by that; how to reach it never
    holds a secret, unless a sender put one there."""
    reached = {name: redact_text(value) for name, value in signal.target.coordinates.items()}
    return signal.with_(
        raw=redact(signal.raw), labels=redact(signal.labels), summary=redact(signal.summary),
        target=signal.target.with_(coordinates=reached),
    )  # fmt: skip
