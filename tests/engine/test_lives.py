"""Whole lives of incidents on real stores: what was done is read from the patient's own record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.engine.drive import exit_code
from byteport.errors import BadSignal
from byteport.model.signal import Mode
from byteport.model.target import TargetKind
from byteport.records.incident import Phase
from tests.ward.world import World


def test_a_leak_is_found_treated_verified_and_told(world: World) -> None:
    incident = world.run(world.open("ward_one"))
    assert (incident.phase, incident.ending) == (Phase.CLOSED, "resolved")
    assert [(e["kind"], e["before"], e["after"]) for e in world.ward.effects()] == [("pulse", 0, 1)]
    story = world.ledger.postmortem(incident.id)
    assert story.record["classification"] == "leak"
    assert story.record["actions"][0]["how"] == "done"
    assert "## Diagnosis" in story.markdown
    (outcome,) = [event for event in world.ledger.events(incident.id) if event.kind == "outcome"]
    said = {verdict["guard"]: verdict["allowed"] for verdict in outcome.data["verdicts"]}
    assert {"pause", "dry_run", "human_veto", "self_targets", "global_writes", "wide"} <= said.keys()
    assert all(said.values())
    assert exit_code(incident) == 0


def test_dry_run_walks_the_plan_and_writes_nothing(world: World) -> None:
    incident = world.run(world.open("ward_one", mode=Mode.DRY_RUN))
    assert (incident.phase, incident.ending) == (Phase.CLOSED, "rehearsed")
    assert world.ward.effects() == []
    assert world.texts(incident.id, "rehearsal") == ["would turn v1 by one"]
    assert world.budgets.counts([]) == []


def test_the_default_mode_is_dry_run(world: World) -> None:
    world.ward.prepare("v1")
    admission = world.engine().take(world.signal("ward_one"))
    assert admission is not None
    assert world.run(admission.incident).ending == "rehearsed"
    assert world.ward.effects() == []


def test_several_steps_wait_by_dates_and_look_again(world: World) -> None:
    incident = world.run(world.open("ward_several"))
    assert incident.ending == "resolved"
    assert [e["kind"] for e in world.ward.effects()] == ["pulse", "pulse"]
    assert world.ward.doubled() == []


def test_until_stops_as_soon_as_it_is_enough(world: World) -> None:
    incident = world.run(world.open("ward_stepwise"))
    assert incident.ending == "resolved"
    assert len(world.ward.effects()) == 2


def test_a_valve_that_leaks_no_more_is_left_alone(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ward.set("v1", "leaking", False)
    world.step(incident)
    from byteport.testing.time_travel import travel

    travel(world.url, 31)
    ended = world.run(incident)
    assert ended.ending == "recovered"
    assert world.ward.effects() == []


def test_a_stuck_valve_goes_to_a_person_with_the_reason(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_one"))
    assert incident.phase is Phase.ESCALATE
    assert "stuck" in incident.reason
    assert [d.message.kind for d in world.notebook.sent] == ["escalation"]
    assert exit_code(incident) == 3


def test_a_failed_verification_escalates_and_never_repeats_the_action(world: World) -> None:
    incident = world.run(world.open("ward_failing"))
    assert incident.phase is Phase.ESCALATE
    assert "verification failed" in incident.reason
    assert len(world.ward.effects()) == 1


def test_a_failed_verification_undoes_what_may_be_undone(world: World) -> None:
    incident = world.run(world.open("ward_undoing"))
    assert incident.phase is Phase.ESCALATE
    assert [(e["before"], e["after"]) for e in world.ward.effects()] == [(0, 7), (7, 0)]
    assert incident.undone
    assert exit_code(incident) == 5


def test_an_undo_leaves_a_persons_later_change_alone(world: World) -> None:
    incident = world.open("ward_undoing")
    world.run(incident, until=Phase.VERIFY)
    world.ward.set("v1", "value", 42)
    ended = world.run(incident)
    assert ended.phase is Phase.ESCALATE
    assert world.ward.valve("v1").value == 42
    assert not ended.undone


def test_an_unknown_valve_escalates_and_names_the_probe(world: World) -> None:
    world.ledger.promote("ward_one", Mode.LIVE, "test", "test")
    admission = world.engine().take(world.signal("ward_one", "nowhere"))
    assert admission is not None
    incident = world.run(admission.incident)
    assert incident.phase is Phase.ESCALATE
    assert "valve" in incident.reason
    assert "no valve 'nowhere'" in incident.reason


def test_a_signal_nobody_claims_is_refused(world: World) -> None:
    with pytest.raises(BadSignal, match="claimed by no enabled runbook"):
        world.engine().take(world.signal("weather"))


def test_a_signal_on_another_kind_of_target_names_the_kind(world: World) -> None:
    signal = world.signal("ward_one")
    with pytest.raises(BadSignal, match=r"target\.kind: service for 'ward_one', got host"):
        world.engine().take(signal.with_(target=signal.target.with_(kind=TargetKind.HOST)))


def test_repeats_are_absorbed_while_it_is_open(world: World) -> None:
    incident = world.open("ward_one")
    again = [world.engine().take(world.signal("ward_one")) for _ in range(5)]
    assert {admission.incident for admission in again if admission} == {incident}
    assert world.run(incident).ending == "resolved"
    assert world.now(incident).signals_seen == 6
    assert len(world.ward.effects()) == 1


def test_handing_over_opens_a_child_that_acts(world: World) -> None:
    world.ledger.promote("ward_one", Mode.LIVE, "test", "test")
    parent = world.run(world.open("ward_handing"))
    assert parent.ending == "handed_over"
    assert exit_code(parent) == 7
    child = next(line for line in world.ledger.listing() if line.runbook == "ward_one")
    assert world.run(child.id).ending == "resolved"
    assert world.now(child.id).parent == parent.id


def test_a_cooldown_suppresses_the_next_one(world: World) -> None:
    assert world.run(world.open("ward_cooling")).ending == "resolved"
    world.ward.set("v1", "leaking", True)
    again = world.run(world.open("ward_cooling"))
    assert again.ending == "suppressed"
    assert "cooldown" in again.reason
    assert len(world.ward.effects()) == 1


def test_after_the_cooldown_it_acts_again(world: World) -> None:
    from byteport.testing.time_travel import travel

    assert world.run(world.open("ward_cooling")).ending == "resolved"
    travel(world.url, timedelta(hours=1, minutes=1).total_seconds())
    world.ward.set("v1", "leaking", True)
    assert world.run(world.open("ward_cooling")).ending == "resolved"
    assert len(world.ward.effects()) == 2


def test_approval_waits_for_a_person_and_expires(world: World) -> None:
    waiting = world.run(world.open("ward_one", mode=Mode.APPROVE))
    assert waiting.phase is Phase.PLAN
    assert world.ward.effects() == []
    assert exit_code(waiting) == 6
    world.ledger.command(waiting.id, "approve", "ada", "looks right")
    assert world.run(waiting.id).ending == "resolved"
    assert len(world.ward.effects()) == 1


def test_an_approval_that_nobody_gives_escalates(world: World) -> None:
    from byteport.testing.time_travel import travel

    waiting = world.run(world.open("ward_one", mode=Mode.APPROVE))
    travel(world.url, 31 * 60)
    ended = world.run(waiting.id)
    assert ended.phase is Phase.ESCALATE
    assert "nobody approved" in ended.reason
    assert world.ward.effects() == []


def test_a_person_cancels_and_nothing_is_written(world: World) -> None:
    incident = world.open("ward_one")
    world.run(incident, until=Phase.ACT)
    world.ledger.command(incident, "cancel", "ada", "I do it myself")
    ended = world.run(incident)
    assert ended.ending == "cancelled"
    assert world.ward.effects() == []


def test_a_batch_is_narrowed_to_what_is_granted_and_the_rest_is_told(world: World) -> None:
    incident = world.run(world.open("ward_batched"))
    assert incident.ending == "partially_resolved"
    assert [e["after"] for e in world.ward.effects()] == [3]
    assert world.ledger.intents_of(incident.id)[0].action.amount == 3
    assert exit_code(incident) == 3


def test_an_escalated_incident_closes_when_it_has_been_clear_for_ten_minutes(world: World) -> None:
    from byteport.testing.time_travel import travel

    world.ward.prepare("v1", stuck=True)
    incident = world.run(world.open("ward_one"))
    world.engine().take(world.signal("ward_one", resolved=True))
    travel(world.url, 601)
    ended = world.run(incident.id)
    assert ended.phase is Phase.CLOSED
    assert ended.ending == "recovered"


def test_a_rehearsed_escalation_makes_way_for_one_that_may_act(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    told = world.run(world.open("ward_one", mode=Mode.DRY_RUN))
    assert told.ending == "rehearsed"
    world.ward.set("v1", "broken", True)
    resting = world.run(world.open("ward_one", mode=Mode.DRY_RUN))
    assert resting.phase is Phase.ESCALATE
    world.ward.set("v1", "broken", False)
    world.ward.set("v1", "stuck", False)
    live = world.open("ward_one")
    assert live != resting.id
    assert world.now(resting.id).phase is Phase.CLOSED
    assert world.run(live).ending == "resolved"


def test_a_live_escalation_absorbs_further_signals_and_makes_way_only_for_a_person(world: World) -> None:
    world.ward.prepare("v1", stuck=True)
    resting = world.run(world.open("ward_one"))
    assert world.open("ward_one") == resting.id
    assert world.open_by_hand("ward_one", mode=Mode.DRY_RUN) == resting.id
    by_hand = world.open_by_hand("ward_one")
    assert by_hand != resting.id
    assert world.now(resting.id).ending == "closed"
