"""The outbox and standing orders: what people are told, and what holds until they say otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.errors import BadInput
from byteport.model.signal import Mode
from byteport.records.change import Change
from byteport.records.delivery import Receipt
from byteport.records.incident import Phase
from byteport.records.standing import NewVeto
from tests.contracts.conftest import RUNBOOK, race, target_of


def told(world, *messages, key="db-1"):
    incident = world.open(key)
    world.move(incident, messages=messages)
    return incident


def states(world, incident):
    return [delivery.state for delivery in world.ledger.deliveries_of(incident)]


def test_a_message_is_delivered_once(world):
    incident = told(world, world.message())
    (delivery,) = world.ledger.deliveries_due()
    assert (delivery.tries, delivery.state, delivery.incident) == (1, "sending", incident)
    assert world.ledger.deliveries_due() == []
    world.ledger.delivered(delivery, Receipt(reference="ts-1"))
    world.ledger.delivered(delivery, Receipt(reference="ts-2"))
    (sent,) = world.ledger.deliveries_of(incident)
    assert (sent.state, sent.reference) == ("sent", "ts-1")
    assert world.kinds(incident).count("delivery") == 1


def test_a_delivery_is_its_takers_until_another_takes_it(world):
    told(world, world.message())
    (first,) = world.ledger.deliveries_due()
    world.travel(50)
    assert world.ledger.still_to_send(first)
    world.travel(50)
    assert world.ledger.deliveries_due() == [], "asking gave it another minute"
    world.travel(11)
    (second,) = world.ledger.deliveries_due()
    assert not world.ledger.still_to_send(first)
    assert world.ledger.still_to_send(second)
    world.ledger.delivered(first, Receipt(reference="ts-1"))
    assert not world.ledger.still_to_send(second)


def test_senders_at_once_take_each_delivery_once(world):
    for n in range(12):
        told(world, world.message(dedup_key=f"db-{n}"), key=f"db-{n}")
    taken = race([lambda: [delivery.id for delivery in world.ledger.deliveries_due(limit=5)]] * 4)
    ids = [one for some in taken for one in some]
    assert len(ids) == len(set(ids)) == 12


def test_a_delivery_whose_sender_died_is_due_again_after_a_minute(world):
    told(world, world.message())
    world.ledger.deliveries_due()
    world.travel(59)
    assert world.ledger.deliveries_due() == []
    world.travel(2)
    assert [delivery.tries for delivery in world.ledger.deliveries_due()] == [2]


def test_a_failed_delivery_comes_back_when_it_was_said_to(world):
    incident = told(world, world.message())
    (delivery,) = world.ledger.deliveries_due()
    world.ledger.not_delivered(delivery, "503", timedelta(seconds=30))
    assert world.ledger.deliveries_due() == []
    world.travel(31)
    (again,) = world.ledger.deliveries_due()
    assert again.error == "503"
    world.ledger.not_delivered(again, "404", None)
    world.travel(3600)
    assert world.ledger.deliveries_due() == []
    assert states(world, incident) == ["failed"]
    assert world.kinds(incident).count("delivery") == 1


def test_the_same_text_inside_the_window_is_suppressed(world):
    first, second = told(world, world.message()), told(world, world.message(), key="db-2")
    assert (states(world, first), states(world, second)) == (["due"], ["suppressed"])
    assert len(world.ledger.deliveries_due()) == 1


def test_another_text_adds_to_the_first_message_once_that_was_sent(world):
    told(world, world.message())
    told(world, world.message("worse"), key="db-2")
    (first,) = world.ledger.deliveries_due()
    world.ledger.delivered(first, Receipt(reference="thread-1"))
    (second,) = world.ledger.deliveries_due()
    assert (second.repeat_of, second.message.text) == ("thread-1", "worse")
    told(world, world.message("worse still"), key="db-3")
    (third,) = world.ledger.deliveries_due()
    assert third.repeat_of == "thread-1"


def test_a_repeat_of_what_was_never_sent_goes_out_by_itself(world):
    told(world, world.message())
    told(world, world.message("worse"), key="db-2")
    (first,) = world.ledger.deliveries_due()
    world.ledger.not_delivered(first, "gone", None)
    (second,) = world.ledger.deliveries_due()
    assert second.repeat_of == ""


@pytest.mark.parametrize(
    "other", [{"channel": "github_issue"}, {"dedup_key": "db-1/critical"}, {"dry_run": True}], ids=str
)
def test_another_channel_matter_or_rehearsal_is_no_repeat(world, other):
    told(world, world.message())
    incident = told(world, world.message(**other), key="db-2")
    assert states(world, incident) == ["due"]
    assert world.ledger.deliveries_of(incident)[0].repeat_of == ""


def test_after_the_window_it_is_told_again(world):
    told(world, world.message(dedup_seconds=60))
    world.travel(61)
    assert states(world, told(world, world.message(dedup_seconds=60), key="db-2")) == ["due"]


def test_the_same_matter_from_many_incidents_at_once_is_told_once(world):
    claims = [world.claim(world.open(f"db-{n}")) for n in range(6)]
    race([lambda c=c: world.ledger.save(Change(incident=c[0], messages=(world.message(),)), c[1]) for c in claims])
    rows = world.sql("select state, count(*) as n from byteport.deliveries group by state order by state")
    assert rows == [{"state": "due", "n": 1}, {"state": "suppressed", "n": 5}]


def test_a_pause_stands_until_it_is_resumed(world):
    everything, one = world.ledger.pause("", "storm", "ada"), world.ledger.pause(RUNBOOK, "odd", "bob")
    assert world.ledger.pauses() == [everything, one]
    incident = world.open()
    assert world.ledger.standing(incident, RUNBOOK, target_of()).pauses == (everything, one)
    assert world.ledger.standing(incident, "other", target_of()).pauses == (everything,)
    assert world.ledger.resume("", "ada") == 1
    assert world.ledger.pauses() == [one]
    assert world.ledger.resume("", "ada") == 0


@pytest.mark.parametrize(
    ("match", "silent"),
    [
        ({"target": "db-1"}, True),
        ({"runbook": RUNBOOK, "kind": "database"}, True),
        ({"team": "payments"}, True),
        ({"source": "poller", "signal": "db_pool_exhausted"}, True),
        ({"team": "payments", "target": "db-2"}, False),
        ({"absent": ""}, False),
    ],
    ids=str,
)
def test_a_silence_needs_all_that_it_names(world, match, silent):
    incident = world.open(of={"labels": {"team": "payments", "runbook": "spoofed"}})
    world.ledger.silence(match, timedelta(hours=2), "migration", "ada")
    assert bool(world.ledger.standing(incident, RUNBOOK, target_of()).silence) is silent
    world.travel(2 * 3600 + 1)
    assert world.ledger.standing(incident, RUNBOOK, target_of()).silence == ""


def test_an_empty_silence_is_nothing_and_never_everything(world):
    with pytest.raises(BadInput):
        world.ledger.silence({}, timedelta(hours=2), "all", "ada")
    assert world.ledger.standing(world.open(), RUNBOOK, target_of()).silence == ""


def test_a_veto_is_for_its_page_and_target_and_ends(world):
    new = NewVeto(runbook=RUNBOOK, target_key="db-1", why="a person undid it", intent="i1", incident="inc-1")
    world.ledger.veto(new)
    world.ledger.veto(new.with_(incident="inc-2"))  # seen by another look too
    standing = world.ledger.standing(world.open(), RUNBOOK, target_of())
    assert standing.veto.until - standing.now > timedelta(hours=23)
    assert (standing.veto.why, standing.veto.incident) == ("a person undid it", "inc-1")
    assert world.ledger.standing("", RUNBOOK, target_of("db-2")).veto is None
    assert world.ledger.standing("", "other", target_of()).veto is None
    world.travel(24 * 3600 + 1)
    assert world.ledger.standing("", RUNBOOK, target_of()).veto is None


def test_newly_live_starts_again_after_a_time_in_another_mode(world):
    first = world.ledger.promote(RUNBOOK, Mode.LIVE, "ada", "ready")
    world.travel(3600)
    assert world.ledger.promote(RUNBOOK, Mode.LIVE, "ada", "still").live_since == first.live_since
    assert world.ledger.promote(RUNBOOK, Mode.DRY_RUN, "ada", "odd").live_since is None
    again = world.ledger.promote(RUNBOOK, Mode.LIVE, "ada", "fixed")
    assert again.live_since > first.live_since + timedelta(minutes=59)
    assert world.ledger.promotions() == [again]
    assert world.ledger.standing("", RUNBOOK, target_of()).promotion == again


def test_who_byteport_is_fades_when_its_processes_do(world):
    world.ledger.register_self("web@a", ["host:a", "db:ledger"], "digest-1")
    world.ledger.register_self("act@b", ["host:b"], "digest-2")
    standing = world.ledger.standing("", RUNBOOK, target_of())
    assert standing.self_keys == {"host:a", "db:ledger", "host:b"}
    assert standing.configurations == ("digest-1", "digest-2")
    world.travel(9 * 60)
    world.ledger.register_self("act@b", ["host:b"], "digest-3")
    world.travel(2 * 60)
    standing = world.ledger.standing("", RUNBOOK, target_of())
    assert standing.configurations == ("digest-3",)  # a silent process has no say in the configuration any more
    assert standing.self_keys == {"host:a", "db:ledger", "host:b"}  # and its host is still ours
    world.travel(24 * 3600)
    world.ledger.register_self("act@b", ["host:b"], "digest-3")
    assert world.ledger.standing("", RUNBOOK, target_of()).self_keys == {"host:b"}


def test_a_storm_lasts_until_it_has_been_calm_for_ten_minutes(world):
    for n in range(20):
        world.open(f"db-{n}")
    assert world.ledger.standing("", RUNBOOK, target_of()).storm == ""
    world.open("db-20")
    assert "more than 20" in world.ledger.standing("", RUNBOOK, target_of()).storm
    assert world.ledger.standing("", "other", target_of()).storm == ""
    world.travel(14 * 60)
    assert world.ledger.standing("", RUNBOOK, target_of()).storm != ""
    world.travel(2 * 60)
    assert world.ledger.standing("", RUNBOOK, target_of()).storm == ""


def test_a_person_ends_a_storm(world):
    for n in range(21):
        world.open(f"db-{n}")
    world.ledger.end_storm(RUNBOOK, "ada")
    assert world.ledger.standing("", RUNBOOK, target_of()).storm == ""


def test_incidents_are_listed_newest_first_and_page_by_page(world):
    opened = [world.open(f"db-{n}") for n in range(5)]
    world.move(opened[2], phase=Phase.CLOSED, ending="resolved", reason="verified")
    assert [line.id for line in world.ledger.listing()] == opened[::-1]
    first = world.ledger.listing(limit=2)
    assert [line.id for line in world.ledger.listing(limit=2, before=first[-1].id)] == opened[1:3][::-1]
    assert [line.id for line in world.ledger.listing(open_only=True)] == [*opened[3:][::-1], *opened[:2][::-1]]
    (closed,) = [line for line in world.ledger.listing() if line.closed_at]
    assert (closed.word, closed.reason, closed.target, closed.signals) == ("resolved", "verified", "database:db-2", 1)
