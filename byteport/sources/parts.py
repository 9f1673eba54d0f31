"""A source that consists of several parts (endpoints, services, queries), each of which may answer or not.

One that does not keeps none of the others from being told, and clears nothing of its own. A look whose parts were all
silent is none: it raises what the first one raised. Otherwise what is silent stands among what was heard.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from byteport.errors import BytePortError, Transient
from byteport.redaction import redact_text
from byteport.sources.incoming import Silent

Part = TypeVar("Part")
Answer = TypeVar("Answer")
LOOK = timedelta(seconds=25)  # of the 30 s that a task may take
AT_ONCE = 8


@dataclass(frozen=True)
class Asked(Generic[Part, Answer]):
    """Both in the order in which the parts were given."""

    answers: Sequence[tuple[Part, Answer]]
    silent: Sequence[tuple[Part, BytePortError]]

    def told(self, name: Callable[[Part], str] = str) -> list[Silent]:
        """The silent ones among what was heard: which it is, and why."""
        return [Silent(name(part), f"an answer ({redact_text(str(why))[:300]})") for part, why in self.silent]


def each(
    parts: Sequence[Part], ask: Callable[[Part], Answer], within: timedelta = LOOK, most: int = AT_ONCE
) -> Asked[Part, Answer]:
    """Asks for all parts, `most` at once, and waits for `within` in all; what has not answered by then is silent, and
    its thread ends by its client's own time-out. Where one is told to come back later, those not yet asked are not.
    Raises the first part's error where none has answered."""
    later = threading.Event()

    def one(part: Part) -> Answer:
        if later.is_set():
            raise Transient("not asked: the source wants to be left alone for a while")
        try:
            return ask(part)
        except Transient as problem:
            if problem.retry_after is not None:
                later.set()
            raise

    pool = ThreadPoolExecutor(max_workers=max(1, min(most, len(parts))), thread_name_prefix="part")
    try:
        asked = [(part, pool.submit(one, part)) for part in parts]
        wait([future for _, future in asked], timeout=within.total_seconds())
        return _sorted(asked, within)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _sorted(asked: Sequence[tuple[Part, Future[Answer]]], within: timedelta) -> Asked[Part, Answer]:
    answers: list[tuple[Part, Answer]] = []
    silent: list[tuple[Part, BytePortError]] = []
    for part, future in asked:
        problem = _problem(future, within)
        if problem is None:
            answers.append((part, future.result()))
        else:
            silent.append((part, problem))
    if silent and not answers:
        raise silent[0][1]
    return Asked(answers, silent)


def _problem(future: Future[Answer], within: timedelta) -> BytePortError | None:
    if not future.done():
        return Transient(f"nothing within {within.total_seconds():.0f} s")
    problem = future.exception()
    if problem is not None and not isinstance(problem, BytePortError):
        raise problem
    return problem
