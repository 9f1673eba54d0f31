"""Signals become incidents: one open incident for a page and a target, and no signal is lost or counted twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Stale
from byteport.model.signal import Mode, Severity
from byteport.records.change import Change
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, RUNBOOK, race, target_of


def test_a_signal_opens_an_incident_that_is_due_at_once(world):
    admission = world.ledger.admit(world.opening())
    assert not admission.absorbed
    incident = world.ledger.incident(admission.incident)
    assert (incident.phase, incident.page, incident.signals_seen, incident.version) == (Phase.OPEN, PAGE, 1, 0)
    assert [due.incident for due in world.ledger.wake_due()] == [admission.incident]


def test_a_second_signal_is_absorbed_by_the_open_incident(world):
    first = world.open()
    second = world.ledger.admit(world.opening())
    assert second.absorbed
    assert second.incident == first
    assert world.ledger.incident(first).signals_seen == 2
    assert world.kinds(first) == ["signal", "signal"]


def test_another_target_or_page_is_another_incident(world):
    assert len({world.open("db-1"), world.open("db-2"), world.open("db-1", runbook="other")}) == 3


def test_the_same_event_twice_is_one_signal(world):
    first = world.ledger.admit(world.opening(of={"event_id": "e-1"}))
    again = world.ledger.admit(world.opening("db-9", of={"event_id": "e-1"}))
    assert (again.incident, again.duplicate) == (first.incident, True)
    assert world.ledger.incident(first.incident).signals_seen == 1
    assert len(world.ledger.listing()) == 1


def test_the_same_event_from_everywhere_at_once_is_one_signal(world):
    opening = world.opening(of={"event_id": "e-1"})
    admissions = race([lambda: world.ledger.admit(opening)] * 8)
    assert len({a.incident for a in admissions}) == 1
    assert sorted(a.duplicate for a in admissions) == [False] + [True] * 7


def test_signals_of_one_target_from_everywhere_at_once_open_one_incident(world):
    opening = world.opening()
    admissions = race([lambda: world.ledger.admit(opening)] * 10)
    assert len({a.incident for a in admissions}) == 1
    assert [a.absorbed for a in admissions].count(False) == 1
    assert world.ledger.incident(admissions[0].incident).signals_seen == 10


def test_a_higher_severity_stays_and_a_lower_one_does_not_come_back(world):
    incident = world.open(severity=Severity.HIGH)
    world.open(severity=Severity.CRITICAL)
    world.open(severity=Severity.INFO)
    assert world.ledger.incident(incident).signal.severity is Severity.CRITICAL


def test_a_signal_on_an_escalated_incident_makes_it_due_at_once(world):
    incident = world.open()
    rest = world.claim(incident)[1].now + timedelta(days=7)
    world.travel(41)
    world.move(incident, phase=Phase.ESCALATE, due_at=rest)
    assert world.ledger.wake_due() == []
    world.open()
    assert [due.incident for due in world.ledger.wake_due()] == [incident]


@pytest.mark.parametrize("phase", [Phase.PROBE, Phase.ACT, Phase.VERIFY])
def test_a_signal_does_not_cut_a_wait_of_the_plan_short(world, phase):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.save(Change(incident=seen.to(phase, due_at=lease.now + timedelta(seconds=60))), lease)
    world.open(severity=Severity.CRITICAL)
    assert world.ledger.wake_due() == []
    assert world.ledger.claim(incident, [PAGE]) is None


def test_a_signal_during_a_move_neither_fails_it_nor_is_overwritten(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.open(severity=Severity.CRITICAL)
    saved = world.ledger.save(Change(incident=seen.to(Phase.PROBE)), lease)
    assert (saved.phase, saved.signals_seen, saved.signal.severity) == (Phase.PROBE, 2, Severity.CRITICAL)
    assert saved.last_signal_at > seen.last_signal_at


def test_a_signal_during_a_move_of_an_escalated_incident_leaves_it_due(world):
    incident = world.open()
    world.move(incident, phase=Phase.ESCALATE)
    seen, lease = world.claim(incident)
    world.open()
    saved = world.ledger.save(Change(incident=seen.model_copy(update={"due_at": lease.now + timedelta(days=7)})), lease)
    assert saved.due_at <= lease.now
    assert world.ledger.claim(incident, [PAGE]) is not None


def test_signals_and_moves_at_once_lose_nothing(world):
    incident = world.open()

    def move_on() -> int:
        return sum(1 for _ in range(10) if world.move(incident, reason="moved").version)

    def shout() -> int:
        return sum(1 for _ in range(10) if world.open() == incident)

    assert race([move_on, shout, shout]) == [10, 10, 10]
    seen = world.ledger.incident(incident)
    assert (seen.version, seen.signals_seen) == (10, 21)
    assert world.ledger.verify_chain(incident) is None


def test_closing_over_a_newer_signal_repeats_the_move(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.open()
    with pytest.raises(Stale):
        world.ledger.save(Change(incident=seen.to(Phase.CLOSED)), lease)
    assert world.ledger.incident(incident).phase is Phase.OPEN
    assert world.move(incident, phase=Phase.CLOSED, ending="resolved").phase is Phase.CLOSED


def test_after_closing_a_signal_opens_anew(world):
    first = world.open()
    world.move(first, phase=Phase.CLOSED, ending="resolved")
    second = world.open()
    assert second != first
    assert world.ledger.incident(first).signals_seen == 1


def test_a_resting_escalation_makes_way_for_a_persons_run_and_reads_as_closed(world):
    first = world.open(mode=Mode.DRY_RUN)
    world.move(first, phase=Phase.ESCALATE, escalated_at=world.ledger.incident(first).opened_at)
    second = world.open(person="ada")
    assert second != first
    closed = world.ledger.incident(first)
    assert (closed.phase, closed.ending, closed.word) == (Phase.CLOSED, "closed", "closed")
    assert world.ledger.verify_chain(first) is None


def test_a_cleared_condition_is_dated_once_and_wakes_who_waits_for_it(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.save(Change(incident=seen.to(Phase.ESCALATE, due_at=lease.now + timedelta(days=7))), lease)
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True))
    dated = world.ledger.incident(incident).clear_since
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True))
    assert world.ledger.incident(incident).clear_since == dated is not None
    assert [due.incident for due in world.ledger.wake_due()] == [incident]


def test_a_clearing_during_a_move_does_not_cut_the_wait_that_it_ends_with_short(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True))
    saved = world.ledger.save(Change(incident=seen.to(Phase.ACT, due_at=lease.now + timedelta(seconds=60))), lease)
    assert saved.clear_since is not None
    assert world.ledger.claim(incident, [PAGE]) is None


def test_a_new_signal_takes_the_clearing_back(world):
    incident = world.open()
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True))
    world.open()
    assert world.ledger.incident(incident).clear_since is None


def test_a_clearing_of_nothing_is_nothing(world):
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True))
    assert world.ledger.listing() == []


def test_outside_text_that_postgresql_cannot_keep_is_kept_as_near_as_can_be(world):
    raw = {"nul": "a\x00b", "half": "\ud800", "deep": [{"x\x00": "\udfff"}]}
    incident = world.open(of={"raw": raw, "summary": "'; drop table byteport.events; --"})
    kept = world.ledger.incident(incident).signal
    assert kept.raw["nul"] == "a\ufffdb"
    assert kept.raw["deep"] == [{"x\ufffd": "?"}]
    assert kept.summary == "'; drop table byteport.events; --"


def test_targets_count_while_they_were_seen_within_a_day(world):
    incident = world.open()
    world.ledger.see_target(target_of("db-1"))
    world.ledger.see_target(target_of("db-2"))
    world.ledger.see_target(target_of("db-2"))
    assert world.ledger.standing(incident, RUNBOOK, target_of()).known_targets == 2
    world.travel(24 * 3600 + 1)
    world.ledger.see_target(target_of("db-2"))
    assert world.ledger.standing(incident, RUNBOOK, target_of()).known_targets == 1


@pytest.mark.parametrize("odd", ["a\x00b", "\U0010ffff" * 200, "'; drop table byteport.events; --"], ids=ascii)
def test_any_event_id_is_taken_and_known_again(world, odd):
    opening = world.opening(of={"event_id": odd})
    first = world.ledger.admit(opening)
    again = world.ledger.admit(opening)
    assert (again.incident, again.duplicate) == (first.incident, True)


def test_clearings_that_belong_to_no_incident_are_forgotten_in_time(world):
    world.ledger.condition_cleared(RUNBOOK, world.signal(resolved=True, event_id="c-1"))
    world.travel(2 * 86400)
    world.ledger.forget_before(timedelta(days=3))
    assert len(world.sql("select id from byteport.signals")) == 1
    world.ledger.forget_before(timedelta(days=1))
    assert world.sql("select id from byteport.signals") == []


def test_the_same_clearing_from_everywhere_at_once_is_kept_once(world):
    incident, cleared = world.open(), world.signal(resolved=True, event_id="c-1")
    assert race([lambda: world.ledger.condition_cleared(RUNBOOK, cleared)] * 8) == [None] * 8
    assert world.kinds(incident).count("cleared") == 1
