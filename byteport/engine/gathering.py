"""Stored answers become a page's evidence; live probes become answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from byteport.errors import Denied, OutOfTime, Permanent, Transient
from byteport.grammar.evidence import Evidence, Failure, Field, fields_of
from byteport.grammar.runbook import Runbook
from byteport.model.base import canonical
from byteport.model.target import Target
from byteport.ports import Readers
from byteport.records.evidence import Answer, StoredAnswer
from byteport.redaction import redact

MOST_BYTES = 256 * 1024
MOST_AT_ONCE = 512  # probes of one process, hanging ones among them; more wait, and time out


def gather(
    page: Runbook,
    target: Target,
    answers: Sequence[StoredAnswer],
    now: datetime,
    options: Mapping[str, Any],
    acted_at: datetime | None = None,
    earlier: Evidence | None = None,
    a_step_ago: int = 0,
) -> Evidence:
    """The newest answer of every field, with the first round as `before`, or what was seen `earlier`, and with what was
    known at the end of the round `a_step_ago` (0: none). Pure.

    A field whose newest answer is a failure is a failure: an old answer does not stand in for a lost one.
    """
    rounds = [answer.round for answer in answers]
    first = [answer for answer in answers if answer.round == min(rounds)] if rounds else []
    before = earlier or (_evidence(page, target, first, now, options, None, None) if rounds else None)
    known = [answer for answer in answers if answer.round <= a_step_ago]
    stepped = _evidence(page, target, known, now, options, None, before) if known else None
    return replace(_evidence(page, target, answers, now, options, acted_at, before), stepped=stepped)


def _evidence(
    page: Runbook,
    target: Target,
    answers: Sequence[StoredAnswer],
    now: datetime,
    options: Mapping[str, Any],
    acted_at: datetime | None,
    first: Evidence | None,
) -> Evidence:
    newest: dict[str, StoredAnswer] = {}
    for answer in sorted(answers, key=lambda a: a.round):
        newest[answer.field] = answer
    facts: dict[str, Any] = {}
    failures: dict[str, Failure] = {}
    for name, field in fields_of(page.evidence).items():
        if name in newest:
            _place(name, field, newest[name], facts, failures)
    return page.evidence(
        target=target,
        facts=facts,
        failures=failures,
        looked_at=now,
        options=options,
        acted_at=acted_at,
        first=first,
        taken_at={name: answer.taken_at for name, answer in newest.items()},
    )


def _place(name: str, field: Field, answer: StoredAnswer, facts: dict[str, Any], failures: dict[str, Failure]) -> None:
    if answer.failure is not None:
        failures[name] = answer.failure
        return
    try:
        facts[name] = field.load(answer.fact)
    except ValidationError as wrong:
        failures[name] = Failure(kind="malformed", text=_first_error(wrong))


def ask_all(
    page: Runbook, names: Sequence[str], target: Target, readers: Readers, options: Mapping[str, Any] | None = None
) -> list[Answer]:
    """Ask a group's probes at the same time, each inside its own time-out; every one gets an answer or a failure. A
    group that hangs costs its longest time-out, not the sum."""
    began = time.monotonic()
    specs = [field for name, field in fields_of(page.evidence).items() if name in names]
    askers = _askers(os.getpid())
    asked = [(spec, askers.submit(ask, spec, target, readers, options)) for spec in specs]
    return [_answered(spec, future, began) for spec, future in asked]


@lru_cache(maxsize=1)
def _askers(_process: int) -> ThreadPoolExecutor:
    """This process's threads for probes. One is started where none is idle, so that a probe that hangs keeps no other
    waiting; starting one for each probe costs more than most probes do."""
    return ThreadPoolExecutor(max_workers=MOST_AT_ONCE, thread_name_prefix="probe")


def _answered(spec: Field, future: Future[Answer], began: float) -> Answer:
    """Also what came late while a slower probe was waited for is a time-out: its answer may be as old as the asking."""
    limit = spec.probe.timeout.total_seconds()
    with suppress(FutureTimeout):
        answer = future.result(timeout=max(0.0, began + limit - time.monotonic()))
        if answer.duration_ms <= limit * 1000:
            return answer
    future.cancel()  # one that nobody has begun to ask is not asked any more
    return Answer(
        field=spec.name,
        duration_ms=limit * 1000,
        failure=Failure(kind="timeout", text=f"{spec.probe.name} did not answer within {limit:g} s"),
    )


def ask(spec: Field, target: Target, readers: Readers, options: Mapping[str, Any] | None = None) -> Answer:
    """One probe: its answer as stored (redacted, bounded), or its typed failure. Never raises."""
    began = time.monotonic()
    fact, failure = _attempt(lambda: spec.dump(spec.load(spec.probe(target, readers, options))))
    if failure is None:
        fact = redact(fact)
        size = len(canonical(fact))
        if size > MOST_BYTES:
            fact, failure = (
                None,
                Failure(kind="malformed", text=f"the answer has {size} bytes, at most {MOST_BYTES} are kept"),
            )
    return Answer(field=spec.name, fact=fact, failure=failure, duration_ms=(time.monotonic() - began) * 1000)


def _attempt(look: Callable[[], Any]) -> tuple[Any, Failure | None]:
    try:
        return look(), None
    except OutOfTime as late:
        return None, _failure("timeout", late)
    except Denied as denied:
        return None, _failure("denied", denied)
    except (Transient, Permanent) as problem:
        return None, _failure("unreachable", problem)
    except ValidationError as wrong:
        return None, Failure(kind="malformed", text=_first_error(wrong))
    except Exception as bug:  # noqa: BLE001 - a probe's bug is one failed probe, not a lost round
        return None, _failure("bug", bug)


def _failure(kind: Any, problem: Exception) -> Failure:
    text = str(redact(str(problem) or type(problem).__name__))
    return Failure(kind=kind, text=f"{type(problem).__name__}: {text}"[:500] if kind == "bug" else text[:500])


def _first_error(wrong: ValidationError) -> str:
    error = wrong.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in error["loc"]) or "answer"
    return f"{where}: {error['msg']}"
