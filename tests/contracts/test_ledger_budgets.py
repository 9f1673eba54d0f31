"""The last word on budgets: no window is overspent, whoever asks at once and whatever the budgets store forgot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byteport.errors import Overspent
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.records.outcome import Done, Failed
from tests.contracts.conftest import DENIED, acting, once, race
from tests.servers import eventually


def test_a_full_window_refuses_and_leaves_nothing_behind(world):
    (first, held), (second, lease) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=1), key="i1"), held)
    before = world.kinds(second)
    with pytest.raises(Overspent) as refused:
        world.intent(second, lease, once("free:1"), once(limit=1), key="i2")
    verdict = refused.value.verdict
    assert (verdict.guard, verdict.limit, verdict.current, verdict.allowed) == ("kill_cap", "1", "1", False)
    assert timedelta(seconds=50) < verdict.frees_at - lease.now < timedelta(seconds=62)
    assert world.ledger.find_intent("i2") is None
    assert world.kinds(second) == before
    assert world.sql("select claim_key from byteport.spends") == [{"claim_key": "kills:server-1"}]


def test_a_window_frees_when_its_time_has_passed(world):
    (first, held), (second, _) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=1), key="i1"), held)
    world.travel(61)
    lease = world.claim(second)[1]
    assert world.intent(second, lease, once(limit=1), key="i2").key == "i2"


def test_an_intent_that_has_not_begun_keeps_its_place_however_long(world):
    (first, held), (second, _) = acting(world, 2)
    world.intent(first, held, once(limit=1), key="i1")
    world.travel(3600)
    with pytest.raises(Overspent):
        world.intent(second, world.claim(second)[1], once(limit=1), key="i2")
    lease = world.claim(first)[1]
    world.begin(world.ledger.find_intent("i1"), lease)
    world.travel(45)
    with pytest.raises(Overspent):
        world.intent(second, world.claim(second)[1], once(limit=1), key="i2")


def test_for_ever_is_for_ever(world):
    (first, held), (second, _) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=1, per=0), key="i1"), held)
    world.travel(366 * 24 * 3600)
    with pytest.raises(Overspent) as refused:
        world.intent(second, world.claim(second)[1], once(limit=1, per=0), key="i2")
    assert refused.value.verdict.frees_at is None


def test_amounts_add_up_and_the_freeing_is_when_there_is_room_for_this_one(world):
    (first, held), (second, lease), (third, last) = acting(world, 3)
    world.begin(world.intent(first, held, once(limit=20, amount=12), key="i1"), held)
    world.travel(10)
    world.begin(world.intent(second, lease, once(limit=20, amount=8), key="i2"), lease)
    with pytest.raises(Overspent) as one_more:
        world.intent(third, last, once(limit=20, amount=1), key="i3")
    with pytest.raises(Overspent) as thirteen_more:
        world.intent(third, last, once(limit=20, amount=13), key="i3")
    later = thirteen_more.value.verdict.frees_at - one_more.value.verdict.frees_at
    assert timedelta(seconds=9) < later < timedelta(seconds=12)
    with pytest.raises(Overspent) as never:
        world.intent(third, last, once(limit=20, amount=21), key="i3")
    assert never.value.verdict.frees_at is None


def test_what_only_counts_is_never_refused_and_still_counts(world):
    (first, held), (second, lease), (third, last) = acting(world, 3)
    world.intent(first, held, once(limit=1), key="i1")
    assert world.intent(second, lease, once(limit=1, counts_only=True), key="i2").key == "i2"
    with pytest.raises(Overspent) as refused:
        world.intent(third, last, once(limit=2), key="i3")
    assert refused.value.verdict.current == "2"


def test_two_claims_on_one_key_spend_once_and_bind_both(world):
    (first, held), (second, lease) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=5, per=60), once(limit=5, per=600), key="i1"), held)
    assert world.sql("select window_seconds from byteport.spends") == [{"window_seconds": 600}]
    with pytest.raises(Overspent):
        world.intent(second, lease, once(limit=5, per=60), once(limit=1, per=600), key="i2")


@pytest.mark.parametrize("limit", [1, 3])
def test_many_at_once_never_exceed_a_window(world, limit):
    incidents = acting(world, 8)
    world.epoch()
    opened = race(
        [lambda i=i, lease=lease: world.intent(i, lease, once(limit=limit), key=f"i-{i}") for i, lease in incidents]
    )
    assert [isinstance(one, Intent) for one in opened].count(True) == limit
    assert all(isinstance(one, Intent | Overspent) for one in opened)
    assert world.sql("select sum(amount) as used from byteport.spends") == [{"used": limit}]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 3)), min_size=2, max_size=6),
    limit=st.integers(1, 4),
)
def test_whatever_is_asked_at_once_no_key_is_overspent(world, asked, limit):
    run = world.sql("select nextval('byteport.fencing') as n")[0]["n"]
    world.epoch()

    def open_one(n: int, key: str, amount: int) -> Intent:
        incident, lease = world.acting(f"db-{run}-{n}")
        claims = (once(f"{key}-{run}", limit=limit, amount=amount), once(f"all-{run}", limit=2 * limit, amount=amount))
        return world.intent(incident, lease, *claims[:: -1 if n % 2 else 1], key=f"i-{run}-{n}")

    opened = race([lambda n=n, one=one: open_one(n, *one) for n, one in enumerate(asked)])
    assert all(isinstance(one, Intent | Overspent) for one in opened)
    for row in world.sql("select claim_key, sum(amount) as used from byteport.spends group by claim_key"):
        if row["claim_key"].endswith(f"-{run}"):
            assert row["used"] <= (2 * limit if row["claim_key"].startswith("all-") else limit)


def test_an_outdated_epoch_refuses(world):
    incident, lease = world.acting()
    old = world.epoch()
    world.epoch()
    for epoch in (old, 0, old + 7):
        with pytest.raises(Overspent) as refused:
            world.ledger.open_intent(world.new_intent(incident, key="i1", epoch=epoch), lease)
        assert refused.value.verdict.guard == "budgets_epoch"
    assert world.ledger.find_intent("i1") is None


def test_before_the_first_rebuild_nothing_is_opened(world):
    incident, lease = world.acting()
    with pytest.raises(Overspent):
        world.ledger.open_intent(world.new_intent(incident, key="i1", epoch=0), lease)


def test_a_rebuild_that_fails_has_still_used_its_epoch(world):
    with pytest.raises(RuntimeError), world.ledger.begin_rebuild() as (failed, _):
        raise RuntimeError("the budgets store is gone")
    assert world.epoch() > failed


def test_rebuilds_at_once_never_give_one_epoch_for_two_contents(world):
    epochs = race([world.epoch] * 6)
    assert max(epochs) == 6
    incident, lease = world.acting()
    assert world.ledger.open_intent(world.new_intent(incident, key="i1", epoch=max(epochs)), lease).key == "i1"


def test_a_rebuild_lists_what_still_counts(world):
    (first, held), (second, lease), (third, last) = acting(world, 3)
    world.begin(
        world.intent(first, held, once("kept", per=600, limit=5), once("gone", per=20, limit=5), key="i1"), held
    )
    world.intent(second, lease, once("given_back", limit=5), key="i2")
    world.ledger.settle(world.ledger.find_intent("i2"), DENIED)
    world.begin(world.intent(third, last, once(f"ceiling:{third}", per=0, limit=5), key="i3"), last)
    world.travel(30)
    with world.ledger.begin_rebuild() as (_, spends):
        found = {spend.claim_key: spend for spend in spends}
    assert set(found) == {"kept", f"ceiling:{third}"}
    assert 29 < found["kept"].age_seconds < 45
    assert (found["kept"].amount, found["kept"].window_seconds, found["kept"].intent) == (1, 600, "i1")


def test_a_ceiling_of_a_closed_incident_is_not_rebuilt(world):
    incident, lease = world.acting()
    intent = world.begin(world.intent(incident, lease, once(f"ceiling:{incident}", per=0), key="i1"), lease)
    world.ledger.settle(intent, Done())
    world.travel(41)
    world.move(incident, phase=Phase.CLOSED, ending="resolved")
    with world.ledger.begin_rebuild() as (_, spends):
        assert spends == []


def test_an_intent_waits_for_the_rebuild_and_then_finds_its_epoch_outdated(world):
    incident, lease = world.acting()
    pending = world.new_intent(incident, key="i1", epoch=world.epoch())
    waiting = "select pid from pg_locks where locktype = 'advisory' and not granted"
    with ThreadPoolExecutor(1) as pool:
        with world.ledger.begin_rebuild() as (epoch, _):
            opening = pool.submit(world.ledger.open_intent, pending, lease)
            assert eventually(lambda: world.sql(waiting))
            assert not opening.done()
        with pytest.raises(Overspent):
            opening.result(timeout=10)
    assert world.ledger.open_intent(world.new_intent(incident, key="i1", epoch=epoch), lease).key == "i1"


def test_a_refund_makes_room(world):
    (first, held), (second, lease) = acting(world, 2)
    intent = world.begin(world.intent(first, held, once(limit=1), key="i1"), held)
    world.ledger.settle(intent, Done(ours=False), refund=True)
    assert world.intent(second, lease, once(limit=1), key="i2").key == "i2"


def test_what_was_begun_and_failed_stays_spent(world):
    (first, held), (second, lease) = acting(world, 2)
    intent = world.begin(world.intent(first, held, once(limit=1), key="i1"), held)
    world.ledger.settle(intent, Failed(reason="refused by the server"))
    with pytest.raises(Overspent):
        world.intent(second, lease, once(limit=1), key="i2")


def test_a_reset_is_a_row_and_makes_room(world):
    (first, held), (second, lease) = acting(world, 2)
    world.begin(world.intent(first, held, once(limit=1), key="i1"), held)
    assert world.ledger.reset_guard("kills:server-1", "ada", "the replica was rebuilt") == 1
    assert world.sql("select who, spends from byteport.guard_resets") == [{"who": "ada", "spends": 1}]
    assert world.sql("select count(*) as n from byteport.spends") == [{"n": 1}]
    assert world.intent(second, lease, once(limit=1), key="i2").key == "i2"


def test_guards_are_listed_with_their_counts_and_holders(world):
    incident, lease = world.acting()
    world.begin(world.intent(incident, lease, once(limit=20, amount=3)), lease)
    (row,) = world.ledger.guard_rows()
    assert (row.key, row.kind, row.used, row.limit) == ("kills:server-1", "rate_limit", 3, 20)
    assert row.frees_at > lease.now
