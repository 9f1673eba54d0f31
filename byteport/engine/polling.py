"""Asking a source: each alert by people's routes, and what came of the look written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import structlog

from byteport.engine.policy import Policy
from byteport.engine.routing import Routing, Unrouted
from byteport.errors import BadInput, Permanent, Transient, Unavailable
from byteport.model.signal import Signal
from byteport.records.delivery import Message
from byteport.records.figures import PollerRow, Turn
from byteport.redaction import redact_text
from byteport.sources.incoming import Heard, Malformed, Silent
from byteport.sources.polling import AnyPoller, Looked, looked
from byteport.stores import Ledger

log: Any = structlog.get_logger("byteport.polling")
PERIODS_OF_SILENCE = 3
LONGEST_WAIT = timedelta(hours=1)  # whatever a source asks for: nobody hears of it meanwhile


@dataclass(frozen=True)
class Polling:
    """`take` stores a signal (the engine's intake). One look at a time in the whole fleet; one too many is harmless."""

    ledger: Ledger
    routing: Routing
    take: Callable[[Signal], object]
    configuration: str

    def poll(self, poller: AnyPoller) -> Counter[str] | None:
        """One look, unless somebody has begun one within half a period; what became of what it told. A source that does
        not answer is written down and raises nothing; raises Unavailable (ledger): nothing is then known. No connection
        to the ledger is held meanwhile."""
        turn = self.ledger.poll_begins(poller.name, poller.period, self.configuration)
        if turn is None:
            return None
        try:
            look = looked(poller, turn.at.astimezone(UTC), turn.memory)
        except Unavailable:
            raise
        except (Transient, Permanent) as problem:
            return self._failed(turn, problem)
        except Exception as bug:  # a bug in one source keeps no other from being asked
            log.exception("poll_failed", poller=poller.name)
            return self._failed(turn, bug)
        became = Counter(self._one(poller, one) for one in look.heard)
        return became + self._ended(poller, turn, look)

    def _ended(self, poller: AnyPoller, turn: Turn, look: Looked) -> Counter[str]:
        try:
            mine = self.ledger.polled(turn, _partly(look.heard), memory=look.memory)
        except BadInput as too_much:  # what was heard is taken; that nothing can be remembered of it, people must hear
            return self._failed(turn, too_much)
        if mine:
            told = {one.field: one.expected for one in look.heard if isinstance(one, Silent)}
            self.ledger.parts_polled(poller.name, poller.period, self.configuration, told)
        else:
            log.warning("look_too_late", poller=poller.name)
        return Counter()

    def _failed(self, turn: Turn, problem: Exception) -> Counter[str]:
        """What is remembered stays: whoever remembers says for how long a silence may have lasted."""
        told = redact_text(str(problem)) or type(problem).__name__
        log.warning("source_not_answering", poller=turn.name, error=told)
        named = getattr(problem, "retry_after", None)
        self.ledger.polled(turn, told, min(named, LONGEST_WAIT) if named is not None else None)
        return Counter(failed=1)

    def _one(self, poller: AnyPoller, heard: Heard) -> str:
        if isinstance(heard, Malformed):
            log.warning("not_read", poller=poller.name, field=heard.field, expected=heard.expected)
            return "malformed"
        signal = heard if isinstance(heard, Signal) else self.routing.signal_of(heard)
        if isinstance(signal, Unrouted):
            log.info("alert_unrouted", poller=poller.name, alert=signal.alert.name, why=signal.why)
            return "unrouted"
        try:
            self.take(signal)
        except BadInput as wrong:
            log.warning("signal_refused", poller=poller.name, signal=signal.name, why=str(wrong))
            return "unrouted"
        return "taken"


def _partly(heard: Sequence[Heard]) -> str:
    """A look that could not read anything of what it was told is none. Of silent parts others have answered, if only
    that there is nothing to tell."""
    read = [one for one in heard if not isinstance(one, Silent)]
    wrong = [one for one in read if isinstance(one, Malformed)]
    return f"{wrong[0].field}: {wrong[0].expected}" if wrong and len(wrong) == len(read) else ""


def watch(ledger: Ledger, policy: Policy) -> int:
    """Tell the operators of sources that have not answered for three periods, and when they do again; how many."""
    return ledger.tell_of_pollers(policy.configuration, lambda poller: words(poller, policy))


def words(poller: PollerRow, policy: Policy) -> tuple[Message, ...]:
    """For each channel of the operators. What it says stays the same while it lasts, so that it is said once."""
    silent = poller.told_at is None
    title = f"sources: {poller.name} {'does not answer' if silent else 'answers again'}"
    lasts = f"{PERIODS_OF_SILENCE} periods of {poller.period.total_seconds():.0f} s"
    text = f"no success for {lasts}: {poller.error or 'nobody asked it'}"
    return tuple(
        Message(
            kind="notice" if silent else "resolution", channel=channel, dedup_key=f"poller|{poller.name}",
            title=title, text=text if silent else "what it sees is heard again", severity="high", link=policy.base_url,
        )
        for channel in policy.operators or (policy.fallback_channel,)
    )  # fmt: skip
