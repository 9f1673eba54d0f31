"""Asking a source: each alert by people's routes, and what came of the look written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from byteport.engine.policy import Policy
from byteport.engine.routing import Routing, Unrouted
from byteport.errors import BadInput, Permanent, Transient, Unavailable
from byteport.model.signal import Signal
from byteport.records.delivery import Message
from byteport.records.figures import PollerRow
from byteport.redaction import redact_text
from byteport.sources.incoming import Heard, Malformed, Silent
from byteport.sources.polling import Poller
from byteport.stores import Ledger

log: Any = structlog.get_logger("byteport.polling")
PERIODS_OF_SILENCE = 3
LONGEST_WAIT = timedelta(hours=1)  # whatever a source asks for: nobody hears of it meanwhile


@dataclass(frozen=True)
class Polling:
    """`take` stores a signal (the engine's intake). Two looks at once, or one too many, do no harm."""

    ledger: Ledger
    routing: Routing
    take: Callable[[Signal], object]
    configuration: str

    def poll(self, poller: Poller) -> Counter[str] | None:
        """One look, unless somebody has begun one within half a period; what became of what it told. A source that does
        not answer is written down and raises nothing; raises Unavailable (ledger): nothing is then known. No connection
        to the ledger is held meanwhile."""
        if not self.ledger.poll_begins(poller.name, poller.period, self.configuration):
            return None
        try:
            heard = poller.ask(datetime.now(UTC))
        except Unavailable:
            raise
        except (Transient, Permanent) as problem:
            self._failed(poller, problem)
            return Counter(failed=1)
        except Exception as bug:  # a bug in one source keeps no other from being asked
            log.exception("poll_failed", poller=poller.name)
            self._failed(poller, bug)
            return Counter(failed=1)
        became = Counter(self._one(poller, one) for one in heard)
        self.ledger.polled(poller.name, _partly(heard))
        silent = [one for one in heard if isinstance(one, Silent)]
        told = {one.field: one.expected for one in silent}
        self.ledger.parts_polled(poller.name, poller.period, self.configuration, told)
        return became

    def _failed(self, poller: Poller, problem: Exception) -> None:
        told = redact_text(str(problem)) or type(problem).__name__
        log.warning("source_not_answering", poller=poller.name, error=told)
        named = getattr(problem, "retry_after", None)
        self.ledger.polled(poller.name, told, min(named, LONGEST_WAIT) if named is not None else None)

    def _one(self, poller: Poller, heard: Heard) -> str:
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
