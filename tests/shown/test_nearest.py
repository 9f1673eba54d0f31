"""The nearest change in one sentence, for every way in which a decision can end. Pure values, nothing runs."""

from __future__ import annotations

from typing import Any

import pytest

from byteport.grammar.plan import HandOver, Plan
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.shown.nearest import nearest
from tests.shown.records import (
    NOW,
    OUTLOOK,
    PERSON,
    diagnosis,
    event,
    in_seconds,
    no,
    record,
    refusal,
    text,
    texts,
)


@pytest.mark.parametrize("phase", [Phase.PROBE, Phase.ESCALATE, Phase.CLOSED])
def test_who_only_looks_again_would_not_have_acted_whatever_stands_in_its_way(phase: Phase) -> None:
    found = record(refusal(no("silence")), plan=None, phase=phase, follows="inc-0")
    assert text(found) == "nothing: it only looks again at what inc-0 left"


# -- a guard said no -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (250, "may act again in 4 min 10 s, when turns:v1 frees at 2026-05-04 12:04:10 UTC, 1 of 1 used"),
        (249.2, "may act again in 4 min 10 s, when turns:v1 frees at 2026-05-04 12:04:09 UTC, 1 of 1 used"),
        (0, "may act now: wide stood in the way until 2026-05-04 12:00:00 UTC"),
        (-60, "may act now: wide stood in the way until 2026-05-04 11:59:00 UTC"),
    ],
)
def test_what_frees_by_itself_is_counted_from_now(after: float, wanted: str) -> None:
    full = no(frees_at=in_seconds(after), lifts="when turns:v1 frees", counter="turns:v1", limit="1", current="1")
    (change,) = nearest(record(refusal(full)), OUTLOOK)
    assert (change.text, change.kind, change.frees_at) == (wanted, "time", in_seconds(after))
    assert change.seconds_left == max(after, 0)


@pytest.mark.parametrize(
    ("verdict", "wanted"),
    [
        (no("pause", lifts="when the pause by ada is resumed"), "may act when the pause by ada is resumed"),
        (
            no("silence", frees_at=in_seconds(7200), lifts="when the silence ends"),
            "may act again in 2 h, when the silence ends at 2026-05-04 14:00:00 UTC",
        ),
        (
            no("per_incident", counter="per:inc-1", limit="1", current="1"),
            "nothing: this incident has used up per_incident (1 of 1); only another one counts anew",
        ),
        (
            no("resizes", counter="resizes:disk-1", limit="2", current="2"),
            "may act once resizes:disk-1 is reset (byteport guards reset), it counts for ever: 2 of 2 used",
        ),
        (
            no("self_targets", kind="forbidden", reason="v1 hosts BytePort itself"),
            "nothing: self_targets forbids it (v1 hosts BytePort itself)",
        ),
        (no("older", kind="precondition", reason="of old"), "would have acted had older allowed it: of old"),
    ],
)
def test_every_other_refusal_is_a_sentence(verdict: Any, wanted: str) -> None:
    assert text(record(refusal(verdict))) == wanted


def test_several_refusals_are_all_told_each_once() -> None:
    pause = no("pause", lifts="when the pause by ada is resumed")
    both = refusal(pause, pause, no("veto", frees_at=in_seconds(60), lifts="when the veto ends"))
    assert [line.split(",")[0] for line in texts(record(both))] == [
        "may act when the pause by ada is resumed",
        "may act again in 60 s",
    ]


@pytest.mark.parametrize("kind", ["locks", "attempt", "outcome", "diagnosis"])
def test_a_refusal_that_it_went_on_after_decided_nothing(kind: str) -> None:
    found = record(refusal(no(lifts="soon")), event(kind, 10), phase=Phase.VERIFY)
    assert texts(found) == []


def test_an_undo_afterwards_does_not_hide_the_refusal() -> None:
    found = record(refusal(no(lifts="soon")), event("attempt", 10, direction="undo"), acted_at=NOW)
    assert text(found) == "may act soon"


def test_a_refusal_while_it_waits_is_told_while_it_waits() -> None:
    held = no("target_lock", lifts="when incident inc-7 lets go of service:v1")
    told = event("verdict").with_(data=held.model_dump(mode="json"))
    waiting = record(told, phase=Phase.ACT, escalated_at=None)
    assert text(waiting) == "may act when incident inc-7 lets go of service:v1"


def test_a_switch_that_forbids_is_named_with_a_lost_mode() -> None:
    found = record(refusal(no("dry_run", lifts="once ward_one is live again")))
    assert text(found, switch="BYTEPORT_RUNBOOK_DRY_RUN=true").endswith("which BYTEPORT_RUNBOOK_DRY_RUN=true forbids")


# -- the mode --------------------------------------------------------------------------------------------------------
ASKED = event("phase", 3, to="plan")
WALKED = (event("rehearsal", 3, allowed=True), event("rehearsal", 4, allowed=True))
REHEARSED: dict[str, Any] = {"ending": "rehearsed", "phase": Phase.CLOSED, "mode": Mode.DRY_RUN, "escalated_at": None}


@pytest.mark.parametrize(
    ("changes", "outlook", "wanted"),
    [
        ({}, {}, "acts once ward_one is promoted to live"),
        (
            {},
            {"switch": "BYTEPORT_RUNBOOK_DRY_RUN=true"},
            "acts once ward_one is promoted to live and BYTEPORT_RUNBOOK_DRY_RUN=true no longer forbids it",
        ),
        ({"person": "ada"}, {}, "acts with --no-dry-run, and by itself once it is promoted to live"),
        ({}, {"mode": Mode.LIVE}, "acts from the next signal on: ward_one is live by now"),
        ({}, {"mode": Mode.APPROVE}, "asks for approval from the next signal on: ward_one is in mode approve by now"),
    ],
)
def test_a_rehearsal_says_what_makes_the_next_one_act(changes: Any, outlook: Any, wanted: str) -> None:
    found = record(*WALKED, **REHEARSED, **changes)
    assert text(found, **outlook) == f"{wanted}; 2 of 2 steps would have been allowed"


def test_a_rehearsal_in_which_a_guard_would_refuse_needs_that_lifted_too() -> None:
    refused = refusal(no(lifts="soon"), kind="rehearsal")
    assert texts(record(WALKED[0], refused, **REHEARSED)) == [
        "acts once ward_one is promoted to live; 1 of 2 steps would have been allowed",
        "may act soon",
    ]


def test_a_plan_that_waits_says_who_it_waits_for_and_until_when() -> None:
    waiting = record(phase=Phase.PLAN, mode=Mode.APPROVE, escalated_at=None, due_at=in_seconds(60))
    assert text(waiting) == (
        "acts when somebody approves the plan: byteport incidents approve inc-1, before 2026-05-04 12:01:00 UTC"
    )


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        ((ASKED,), "would have acted had somebody approved the plan in time"),
        ((ASKED, event("approval", 4)), "would have gone on without this: why"),
        ((), "would have gone on without this: why"),
    ],
)
def test_a_plan_that_nobody_approved_is_told_from_one_that_nobody_was_asked_for(after: Any, wanted: str) -> None:
    found = record(event("approval", 1), event("plan", 2), *after, mode=Mode.APPROVE, reason="why")
    assert text(found) == wanted


# -- nothing would have done -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"diagnosis": diagnosis(PERSON)}, "nothing: broken goes to a person by design"),
        (
            {"plan": Plan(end="escalate", reason="no pooler")},
            "nothing: its plan leaves it to a person (no pooler)",
        ),
        (
            {"plan": Plan(end=HandOver(runbook="other", reason="not mine"))},
            "nothing: its plan hands over to other (not mine)",
        ),
        (
            {"ending": "recovered", "reason": "leak is no longer so", "escalated_at": None},
            "nothing: nothing was left to do (leak is no longer so)",
        ),
        (
            {"ending": "cancelled", "reason": "cancelled by ada: no", "escalated_at": None},
            "nothing: a person ended it first (cancelled by ada: no)",
        ),
        ({"diagnosis": None, "reason": "bug in ward_one"}, "would have gone on without this: bug in ward_one"),
        ({"reason": "pulse: cannot look"}, "would have gone on without this: pulse: cannot look"),
    ],
)
def test_where_nothing_would_have_flipped_it_that_is_said(changes: dict[str, Any], wanted: str) -> None:
    assert text(record(**changes)) == wanted


def test_a_reason_that_was_overwritten_by_its_closing_is_found_in_the_journal() -> None:
    escalated = event("phase", 5, text="bug in ward_one", to="escalate")
    assert text(record(escalated, diagnosis=None, reason="closed by ada: seen", ending="closed")).endswith(
        "bug in ward_one"
    )


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.PROBE, Phase.CLASSIFY, Phase.PLAN, Phase.ACT, Phase.VERIFY])
def test_while_nothing_is_decided_nothing_is_said(phase: Phase) -> None:
    assert texts(record(phase=phase, escalated_at=None)) == []


@pytest.mark.parametrize("ending", ["resolved", "partially_resolved", ""])
def test_what_acted_needs_no_change(ending: str) -> None:
    phase = Phase.CLOSED if ending else Phase.ESCALATE
    assert texts(record(acted_at=NOW, ending=ending, phase=phase)) == []
