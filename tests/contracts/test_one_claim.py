"""Many moves under one claim, and a round that is asked by who opened it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Stale
from byteport.grammar.plan import Undo
from byteport.model.signal import Severity
from byteport.records.change import Change, Known
from byteport.records.event import Event
from byteport.records.evidence import Answer, GroupLease, Round
from byteport.records.incident import Phase
from tests.contracts.conftest import PAGE, Kick

LOOKING = ("open", "probe", "classify")
ALL = (*LOOKING, "plan", "act", "verify", "escalate", "write_up")


def going_on(world, incident):
    seen, lease = world.claim(incident)
    return kept_of(world.ledger.save_and_claim(Change(incident=seen.to(Phase.PROBE)), lease))


def kept_of(claimed):
    return claimed.incident, claimed.lease


def test_a_claim_goes_on_from_the_save_for_another_forty_seconds(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.travel(30)
    saved, kept = kept_of(world.ledger.save_and_claim(Change(incident=seen.to(Phase.PROBE)), lease))
    assert (saved.phase, saved.version, kept.token) == (Phase.PROBE, seen.version + 1, lease.token)
    assert kept.until - kept.now == timedelta(seconds=40)
    world.travel(35)
    assert world.ledger.claim(incident, [PAGE]) is None
    world.ledger.save(Change(incident=saved.to(Phase.CLASSIFY)), kept)
    assert world.ledger.claim(incident, [PAGE]) is not None


def test_what_came_meanwhile_is_read_with_the_claim_that_goes_on(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.admit(world.opening(severity=Severity.CRITICAL))
    world.ledger.command(incident, "cancel", "ada", "enough")
    saved, kept = kept_of(world.ledger.save_and_claim(Change(incident=seen.to(Phase.PROBE)), lease))
    assert (saved.signals_seen, saved.signal.severity, saved.command) == (2, Severity.CRITICAL, "cancel")
    closed = saved.to(Phase.CLOSED, ending="cancelled", command="", closed_at=kept.now)
    assert world.ledger.save(Change(incident=closed), kept).phase is Phase.CLOSED  # read, so it does not hold it open


def test_a_claim_that_has_passed_on_does_not_go_on(world):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.travel(41)
    world.claim(incident)
    with pytest.raises(Stale):
        world.ledger.save_and_claim(Change(incident=seen.to(Phase.PROBE)), lease)
    assert world.ledger.incident(incident).phase is Phase.OPEN


def test_one_that_ends_there_counts_as_claimed_in_vain_only_once(world):
    incident = world.open()
    going_on(world, incident)
    world.travel(41)
    assert world.claim(incident)[0].claimed_in_vain == 2


def test_a_claim_asks_for_phases_and_for_others_where_hands_are_wanted(world):
    incident = world.open()
    assert world.ledger.claim(incident, [PAGE], "", ["act"]) is None
    assert world.ledger.claim(incident, [PAGE], "", ["act"], ["open"]) is None
    world.move(incident, phase=Phase.ESCALATE, wants_hands=True)
    assert world.ledger.claim(incident, [PAGE], "", ["escalate"]) is None
    assert world.ledger.claim(incident, [PAGE], "", ["act"], ["escalate"]) is not None


def opened(world, groups=("a", "b")):
    """A round whose groups whoever saved it has taken."""
    incident = world.open()
    seen, lease = world.claim(incident)
    look = Round(groups={group: (f"{group}1",) for group in groups}, purpose="diagnosis")
    due = lease.now + timedelta(seconds=90)
    change = Change(
        incident=seen.to(Phase.PROBE, due_at=due), look=look, taken={group: f"mine.{group}" for group in groups}
    )
    saved = world.ledger.save(change, lease)
    return incident, [
        (
            GroupLease(
                incident=incident, round=saved.round, group=group, token=f"mine.{group}", fields=(f"{group}1",), now=lease.now
            ),
            [Answer(field=f"{group}1", fact=7)],
        )
        for group in groups
    ]  # fmt: skip


def test_groups_that_were_taken_with_the_round_are_sent_to_nobody_until_their_lease_has_lapsed(world):
    incident, _ = opened(world)
    assert world.ledger.groups_to_send(incident) == []
    assert world.ledger.take_quick_groups(incident, 4) is None
    world.travel(16)
    assert [lease.group for lease in world.ledger.take_quick_groups(incident, 1)[1]] == ["a"]
    assert world.ledger.groups_to_send(incident) == [(1, "b")]


def test_the_last_answers_bring_the_claim_and_everything_that_was_answered(world):
    incident, answered = opened(world)
    looked, claimed = world.ledger.store_and_claim(answered, [PAGE], "", LOOKING, ())
    assert looked.completes_the_round
    assert claimed is not None
    assert [(one.field, one.fact) for one in claimed.known.answers] == [("a1", 7), ("b1", 7)]
    assert claimed.incident.pending == 0
    assert world.ledger.claim(incident, [PAGE]) is None
    world.ledger.save(Change(incident=claimed.incident.to(Phase.CLASSIFY)), claimed.lease)


def test_answers_that_are_not_the_last_bring_no_claim(world):
    incident, answered = opened(world)
    looked, claimed = world.ledger.store_and_claim(answered[:1], [PAGE], "", LOOKING, ())
    assert (looked.stored, looked.completes_the_round, claimed) == (True, False, None)
    assert world.ledger.incident(incident).pending == 1


def test_answers_under_a_token_that_has_lapsed_are_kept_and_bring_no_claim(world):
    incident, answered = opened(world)
    world.travel(16)
    world.ledger.take_quick_groups(incident, 4)
    looked, claimed = world.ledger.store_and_claim(answered, [PAGE], "", LOOKING, ())
    assert (looked.stored, looked.completes_the_round, claimed) == (True, False, None)
    assert world.ledger.incident(incident).pending == 2


def test_whoever_may_not_move_it_on_stores_all_the_same(world):
    incident, answered = opened(world)
    looked, claimed = world.ledger.store_and_claim(answered, ["another-page"], "", LOOKING, ())
    assert (looked.completes_the_round, claimed) == (True, None)
    assert world.ledger.claim(incident, [PAGE]) is not None


# -- what the next move asks for comes with the claim ------------------------------------------------------------------
def read(world, incident, phases=ALL):
    return world.ledger.claim_and_read(incident, [PAGE], "", phases, ())


def test_of_a_new_incident_nothing_is_read(world):
    claimed = read(world, world.open())
    assert claimed.known == Known()


def test_with_the_claim_come_the_answers_and_what_was_written(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease, key="i1")
    world.travel(41)
    claimed = read(world, incident)
    assert (claimed.incident.phase, claimed.known.intents, claimed.known.answers) == (Phase.ACT, (intent,), ())
    assert (claimed.known.owed, claimed.known.events) == (None, None)


def test_before_it_is_written_up_everything_is_read_as_it_stands_after_the_save(world):
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease, undo=Undo(action=Kick(), by=timedelta(hours=4))), lease)
    seen = world.ledger.incident(incident)
    told = Event(kind="check", text="well")
    kept = world.ledger.save_and_claim(Change(incident=seen.to(Phase.WRITE_UP), events=(told,)), lease)
    assert kept.known.intents == (intent,)
    assert list(kept.known.owed) == world.ledger.owed(incident) != []
    assert list(kept.known.events) == world.ledger.events(incident)
    assert kept.known.events[-1].text == "well"


def test_answers_that_are_known_are_not_read_again(world):
    _, answered = opened(world)
    _, claimed = world.ledger.store_and_claim(answered, [PAGE], "", LOOKING, ())
    change = Change(incident=claimed.incident.to(Phase.ACT))
    assert world.ledger.save_and_claim(change, claimed.lease, ()).known.answers == ()


def test_what_is_not_to_be_claimed_is_not_read(world):
    incident = world.open()
    assert read(world, incident, phases=("verify",)) is None
    world.claim(incident)
    assert read(world, incident) is None


# -- what a save answers is what stands --------------------------------------------------------------------------------
@pytest.mark.parametrize("phase", ["probe", "classify", "verify", "escalate", "write_up"])
def test_a_save_answers_the_incident_as_it_is_read_afterwards(world, phase):
    incident = world.open()
    seen, lease = world.claim(incident)
    world.ledger.admit(world.opening(severity=Severity.CRITICAL))
    world.ledger.command(incident, "ack", "ada", "mine")
    changed = seen.to(Phase(phase), reason="why\x00", due_at=lease.now, attempt=0, verifying_since=lease.now)
    assert world.ledger.save(Change(incident=changed), lease) == world.ledger.incident(incident)


def test_a_save_that_goes_on_answers_the_same(world):
    incident, lease = world.acting()
    seen = world.ledger.incident(incident).model_copy(update={"locked": True})
    world.ledger.admit(world.opening(severity=Severity.CRITICAL))
    kept = world.ledger.save_and_claim(Change(incident=seen, release_locks=True), lease)
    assert kept.incident == world.ledger.incident(incident)
    assert not kept.incident.locked
