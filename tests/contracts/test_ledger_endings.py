"""How incidents end, hand over, and find a new page when theirs is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import Permanent
from byteport.grammar.plan import Undo
from byteport.model.signal import Mode
from byteport.records.change import Change, Settlement
from byteport.records.evidence import Round
from byteport.records.incident import Phase
from byteport.records.outcome import Done, Failed
from byteport.stores_abandoned import Orphan
from tests.contracts.conftest import PAGE, RUNBOOK, Kick, target_of


def test_an_incident_is_not_closed_over_an_unsettled_intent(world):
    incident, lease = world.acting()
    intent = world.intent(incident, lease)
    seen = world.ledger.incident(incident)
    with pytest.raises(Permanent, match="kick"):
        world.ledger.save(Change(incident=seen.to(Phase.CLOSED)), lease)
    assert world.ledger.incident(incident).phase is Phase.ACT
    world.ledger.settle(intent, Failed(reason="never begun"))
    assert world.ledger.save(Change(incident=seen.to(Phase.CLOSED)), lease).phase is Phase.CLOSED


def test_an_incident_is_not_closed_over_an_undo_that_is_owed(world):
    incident, lease = world.acting()
    undo = Undo(action=Kick(), by=timedelta(hours=4))
    intent = world.begin(world.intent(incident, lease, undo=undo), lease)
    world.ledger.settle(intent, Done())
    seen = world.ledger.incident(incident)
    with pytest.raises(Permanent, match="undo"):
        world.ledger.save(Change(incident=seen.to(Phase.CLOSED)), lease)
    (owed,) = world.ledger.owed(incident)
    words = (("done", "undone"), ("escalated", "too late"))
    settled = tuple(Settlement(obligation=owed.id, state=state, why=why) for state, why in words)
    world.ledger.save(Change(incident=seen, settled=settled), lease)
    assert world.sql("select state from byteport.obligations") == [{"state": "done"}]
    assert world.move(incident, phase=Phase.CLOSED).closed_at is not None


def test_a_failed_save_leaves_nothing_behind(world):
    incident, lease = world.acting()
    world.intent(incident, lease)
    before = world.kinds(incident)
    seen = world.ledger.incident(incident)
    change = Change(
        incident=seen.to(Phase.CLOSED),
        look=Round(groups={"a": ("a1",)}, purpose="more"),
        messages=(world.message(),),
        release_locks=True,
    )
    with pytest.raises(Permanent):
        world.ledger.save(change, lease)
    assert world.kinds(incident) == before
    assert world.ledger.deliveries_of(incident) == []
    assert world.sql("select * from byteport.probe_groups") == []


def test_a_child_opens_with_its_parents_move(world):
    parent = world.open()
    child = world.signal(summary="since the last deploy")
    world.move(
        parent, phase=Phase.WRITE_UP, ending="handed_over", child=child, child_runbook="rollback", child_page=PAGE,
        child_mode=Mode.APPROVE,
    )  # fmt: skip
    (told,) = [event for event in world.ledger.events(parent) if event.kind == "handed_over"]
    opened = world.ledger.incident(told.data["child"])
    assert (opened.parent, opened.runbook, opened.mode, opened.phase) == (parent, "rollback", Mode.APPROVE, Phase.OPEN)


def test_a_child_has_no_children(world):
    parent = world.open()
    child = world.signal()
    world.move(parent, phase=Phase.WRITE_UP, child=child, child_runbook="rollback", child_page=PAGE)
    (told,) = [event for event in world.ledger.events(parent) if event.kind == "handed_over"]
    with pytest.raises(Permanent, match="handed over itself"):
        world.move(told.data["child"], phase=Phase.WRITE_UP, child=child, child_runbook="third", child_page=PAGE)
    assert len(world.ledger.listing()) == 2


def test_an_orphan_is_adopted_anew_where_nothing_was_intended(world):
    incident = world.open()
    world.move(incident, phase=Phase.CLASSIFY)
    assert world.ledger.orphans({RUNBOOK: "page-2"}) == []
    world.travel(61)
    assert world.ledger.orphans({RUNBOOK: PAGE}) == []
    assert world.ledger.orphans({"other": "page-2"}) == []
    assert world.ledger.orphans({RUNBOOK: "page-2"}) == [Orphan(incident=incident, runbook=RUNBOOK, page=PAGE)]
    world.ledger.adopt(incident, "page-2", diagnose_anew=True, reason="page-1 is gone")
    adopted = world.ledger.incident(incident)
    assert (adopted.phase, adopted.page, adopted.plan) == (Phase.OPEN, "page-2", None)
    assert world.ledger.claim(incident, ["page-2"]) is not None


def test_an_orphan_that_has_intended_something_escalates(world):
    incident, lease = world.acting()
    world.intent(incident, lease)
    world.travel(120)
    world.ledger.adopt(incident, "page-2", diagnose_anew=True, reason="page-1 is gone")
    assert world.ledger.incident(incident).phase is Phase.ESCALATE


@pytest.mark.parametrize("is_saved", [False, True])
def test_an_incident_that_somebody_works_on_is_not_adopted(world, is_saved):
    incident = world.open()
    seen, lease = world.claim(incident)
    if is_saved:
        world.ledger.save(Change(incident=seen), lease)
    world.ledger.adopt(incident, "page-2", diagnose_anew=True, reason="no")
    assert world.ledger.incident(incident).page == PAGE


def test_when_another_incident_of_the_target_acted_is_known(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease), lease)
    assert world.ledger.standing(incident, RUNBOOK, target_of()).acted_ago is None
    world.travel(100)
    ago = world.ledger.standing("another", RUNBOOK, target_of()).acted_ago
    assert timedelta(seconds=99) < ago < timedelta(seconds=120)
    assert world.ledger.standing("another", RUNBOOK, target_of("db-2")).acted_ago is None
