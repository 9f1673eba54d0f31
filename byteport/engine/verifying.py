"""VERIFY: look after the real waits, and decide whether the target is well. Never repeats the action."""

from __future__ import annotations

from datetime import datetime, timedelta

from byteport.engine import clearing, owed_looks
from byteport.engine.work import Work
from byteport.grammar.runbook import Check
from byteport.model.units import seconds
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import CheckResult, Phase

SHORTEST = seconds(1)


def verify(work: Work) -> Change:
    """Even tries wait for the next look, odd ones have it. Resolved: none failed or unknown, and one was measured."""
    incident = work.incident
    began = incident.verifying_since or work.now
    fields = tuple(dict.fromkeys(name for check in work.page.verify for name in check.needs))
    if incident.attempt % 2 == 0:
        due = _next_look(work.page.verify, began, work.now, incident.attempt)
        if due is not None:
            return work.wait(due - work.now, attempt=incident.attempt)
        return work.look(fields, "verification", attempt=incident.attempt + 1, verifying_since=began)
    if change := work.look_again(fields):
        return change
    results = tuple(_looked_at(work, check) for check in work.page.verify)
    told = (*map(_told, results), *clearing.shown(work))
    if _all_well(work.page.verify, results, work.now):
        change = work.go(
            Phase.WRITE_UP, *told, text="verified", checks=results, ending="resolved", reason="verified",
            verified_at=_oldest_look(work),
        )  # fmt: skip
        return change.with_(release_locks=True)
    if work.now < began + max(check.deadline for check in work.page.verify):
        return work.wait(timedelta(0), *told, checks=results, attempt=incident.attempt + 1)
    if _holds_so_far(results):
        every = max(SHORTEST, min(check.every for check in work.page.verify))
        return work.wait(every, *told, checks=results, attempt=incident.attempt + 1)
    failing = "; ".join(f"{r.name} ({r.because})" for r in results if r.measured and not r.passed)
    reason = f"verification failed: {failing or 'nothing was measured'}"
    if owed_looks.enough(work):
        change = work.go(Phase.WRITE_UP, *told, checks=results, ending="partially_resolved", reason=reason)
        return change.with_(release_locks=True)
    return work.escalate(reason, *told, checks=results)


def _oldest_look(work: Work) -> datetime:
    """Of what the checks read: a signal after it may tell of something that they have not seen."""
    fields = {name for check in work.page.verify for name in check.needs}
    return min((at for name, at in work.evidence.taken_at.items() if name in fields), default=work.now)


def _next_look(checks: tuple[Check, ...], began: datetime, now: datetime, attempt: int) -> datetime | None:
    """When to look next; None: now. The first look is after the longest `after`, the others `every` apart."""
    first = began + max(check.after for check in checks)
    every = min(check.every for check in checks)
    due = first + every * (attempt // 2)
    due = min(due, max(first, began + max(check.deadline for check in checks)))
    return due if due > now else None


def _looked_at(work: Work, check: Check) -> CheckResult:
    truth = work.truth_of(check.passes, check.needs)
    measured = not (truth.value is None and not truth.missing)  # None without a gap: its source is not configured
    because = truth.because if measured else "its source is not configured"
    before = next((r for r in work.incident.checks if r.name == check.name), None)
    since = (before.since if before is not None and before.since else work.now) if truth.value else None
    return CheckResult(name=check.name, passed=truth.value, measured=measured, because=because, since=since)


def _all_well(checks: tuple[Check, ...], results: tuple[CheckResult, ...], now: datetime) -> bool:
    steady = {check.name: check.steady for check in checks}
    measured = [result for result in results if result.measured]
    return bool(measured) and all(
        result.passed and result.since is not None and now - result.since >= steady[result.name] for result in measured
    )


def _holds_so_far(results: tuple[CheckResult, ...]) -> bool:
    """All that was measured passes, some of it not yet for as long as it must: it is watched on, and ends when one
    fails."""
    measured = [result for result in results if result.measured]
    return bool(measured) and all(result.passed for result in measured)


def _told(result: CheckResult) -> Event:
    word = "not measured" if not result.measured else {True: "passed", False: "failed", None: "unknown"}[result.passed]
    return Event(kind="check", text=f"{result.name}: {word} ({result.because})", data=result.model_dump(mode="json"))
