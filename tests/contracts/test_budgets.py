"""What every budgets store promises, on a real Redis: decisions one by one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from byteport.adapters.budgets import RedisBudgets
from byteport.errors import Permanent
from byteport.grammar.verdict import Claim, Grant
from byteport.stores import Budgets, Spend
from tests.servers import eventually


def claim(key: str = "db_kills:db1", limit: int = 3, seconds: float = 60, **more: object) -> Claim:
    return Claim(key=key, limit=limit, window_seconds=seconds, guard=more.pop("guard", "kill_cap"), **more)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def empty(redis_url: str) -> Iterator[RedisBudgets]:
    budgets = RedisBudgets(redis_url)
    yield budgets
    budgets.close()


@pytest.fixture
def budgets(empty: RedisBudgets) -> RedisBudgets:
    empty.rebuild(1, [])
    return empty


def used(budgets: Budgets, asked: Claim) -> int:
    return budgets.counts([asked])[0].used


def server_time(client: redis.Redis) -> datetime:
    seconds, micros = client.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)


def test_it_grants_up_to_the_limit_and_names_the_claim_that_refuses(budgets: RedisBudgets, client: redis.Redis):
    before = server_time(client)
    assert [budgets.reserve(f"i{n}", [claim()]).granted for n in range(3)] == [True, True, True]
    refused = budgets.reserve("i3", [claim("free"), claim()])
    assert (refused.granted, refused.amount, refused.epoch) == (False, 0, 1)
    assert (refused.refused_by, refused.used) == (claim(), 3)
    first = refused.frees_at - timedelta(seconds=60)
    assert before <= first <= server_time(client)
    assert refused.refusal.reason == "3 of 3 used on db_kills:db1"
    assert used(budgets, claim("free")) == 0, "all or none"


def test_a_grant_says_what_was_granted(budgets: RedisBudgets):
    assert budgets.reserve("i1", [claim(amount=2)]) == Grant(key="i1", granted=True, amount=2, epoch=1)


def test_the_same_key_gets_the_same_grant_and_spends_once(budgets: RedisBudgets):
    first = budgets.reserve("i1", [claim(limit=5, amount=9, up_to=True)])
    assert first.amount == 5
    assert budgets.reserve("i1", [claim(limit=5, amount=9, up_to=True)]) == first
    assert used(budgets, claim()) == 5


def test_a_refusal_is_not_remembered(budgets: RedisBudgets):
    budgets.reserve("i1", [claim(limit=1)])
    assert not budgets.reserve("i2", [claim(limit=1)])
    budgets.give_back("i1")
    assert budgets.reserve("i2", [claim(limit=1)]).granted


def test_a_batch_is_narrowed_to_the_smallest_rest_of_all_its_claims(budgets: RedisBudgets):
    minute, incident = claim("minute", limit=20), claim("incident", limit=60, seconds=0)
    writes = claim("writes", limit=10)
    budgets.reserve("i0", [minute.with_(amount=13), incident.with_(amount=56)])
    wide = [minute.with_(amount=9, up_to=True), incident.with_(amount=9, up_to=True), writes]
    assert budgets.peek(wide).amount == 4
    assert budgets.reserve("i1", wide).amount == 4
    assert [count.used for count in budgets.counts([minute, incident, writes])] == [17, 60, 1]
    refused = budgets.reserve("i2", wide)
    assert (refused.granted, refused.refused_by, refused.used, refused.frees_at) == (False, wide[1], 60, None)


def test_a_batch_that_is_not_divisible_is_refused_whole(budgets: RedisBudgets):
    assert not budgets.reserve("i1", [claim(limit=3, amount=4)]).granted
    assert used(budgets, claim()) == 0


def test_it_frees_when_enough_for_the_whole_amount_has_left(budgets: RedisBudgets):
    budgets.rebuild(2, [spend("k", "a", 2, 50), spend("k", "b", 1, 30), spend("k", "c", 1, 10)])
    ask = claim("k", limit=4, seconds=60)
    oldest = budgets.counts([ask])[0].frees_at
    assert budgets.reserve("x", [ask.with_(amount=2)]).frees_at == oldest
    assert budgets.reserve("x", [ask.with_(amount=3)]).frees_at == oldest + timedelta(seconds=20)
    assert budgets.reserve("x", [ask.with_(amount=4)]).frees_at == oldest + timedelta(seconds=40)
    assert budgets.reserve("x", [ask.with_(amount=5)]).frees_at is None, "it will never fit"


def spend(key: str, intent: str, amount: int = 1, age: float = 0, window: float = 60) -> Spend:
    return Spend(claim_key=key, intent=intent, amount=amount, age_seconds=age, window_seconds=window)


def test_what_is_over_leaves_the_window_by_itself(budgets: RedisBudgets):
    brief = claim(limit=1, seconds=0.05)
    assert budgets.reserve("i1", [brief]).granted
    assert not budgets.reserve("i2", [brief]).granted
    eventually(lambda: budgets.reserve("i2", [brief]).granted)


def test_for_ever_is_never_free_again(budgets: RedisBudgets, client: redis.Redis):
    ever = claim(limit=1, seconds=0)
    budgets.reserve("i1", [ever])
    refused = budgets.reserve("i2", [ever])
    assert (refused.granted, refused.frees_at) == (False, None)
    assert client.ttl("byteport:b:w:db_kills:db1") == -1
    assert client.ttl("byteport:b:grant:i1") == -1


def test_an_undo_counts_and_is_never_blocked(budgets: RedisBudgets):
    budgets.reserve("i1", [claim(limit=1)])
    assert budgets.reserve("undo", [claim(limit=1, counts_only=True)]).granted
    assert used(budgets, claim()) == 2
    assert not budgets.reserve("i2", [claim(limit=2)]).granted


def test_two_limits_on_one_counter_see_one_spend(budgets: RedisBudgets):
    short, long = claim("k", limit=2, seconds=60), claim("k", limit=3, seconds=3600)
    assert budgets.reserve("i1", [short, long]).granted
    assert [count.used for count in budgets.counts([short, long])] == [1, 1]


def test_the_larger_amount_on_one_counter_is_held_against_both_limits(budgets: RedisBudgets):
    one, five = claim("k", limit=3), claim("k", limit=10, amount=5)
    assert budgets.reserve("i1", [one, five]).refused_by == one
    assert budgets.reserve("i1", [one, five.with_(up_to=True)]).amount == 3


def test_a_long_window_still_sees_what_a_short_one_has_forgotten(budgets: RedisBudgets):
    long, short = claim("k", limit=9, seconds=3600), claim("k", limit=9, seconds=0.02)
    budgets.reserve("i1", [long])
    eventually(lambda: used(budgets, short) == 0)
    budgets.reserve("i2", [short])
    assert used(budgets, long) == 2


def test_giving_back_frees_exactly_what_was_taken(budgets: RedisBudgets, client: redis.Redis):
    budgets.reserve("i1", [claim(amount=2), claim("other", seconds=0)])
    budgets.reserve("i2", [claim()])
    budgets.give_back("i1")
    budgets.give_back("i1")
    budgets.give_back("never heard of")
    assert [count.used for count in budgets.counts([claim(), claim("other")])] == [1, 0]
    assert not client.exists("byteport:b:grant:i1")


def test_peeking_counts_what_is_ahead_and_spends_nothing(budgets: RedisBudgets, client: redis.Redis):
    budgets.reserve("i1", [claim()])
    state = {key: client.dump(key) for key in client.scan_iter()}
    assert budgets.peek([claim()], {claim().key: 1}).granted
    refused = budgets.peek([claim()], {claim().key: 2, "elsewhere": 9})
    assert (refused.granted, refused.refused_by, refused.used) == (False, claim(), 3)
    assert budgets.peek([claim(amount=9, up_to=True)], {claim().key: 1}).amount == 1
    assert {key: client.dump(key) for key in client.scan_iter()} == state


def test_counts_say_when_the_oldest_leaves(budgets: RedisBudgets):
    budgets.rebuild(2, [spend("k", "a", 2, 50), spend("k", "b", 1, 30)])
    count, none, ever = budgets.counts([claim("k", limit=7), claim("new"), claim("k", seconds=0)])
    assert (count.key, count.used, count.limit) == ("k", 3, 7)
    assert timedelta(seconds=9) < count.frees_at - datetime.now(UTC) < timedelta(seconds=11)
    assert (none.used, none.frees_at, ever.used, ever.frees_at) == (0, None, 3, None)


def test_an_empty_store_grants_nothing_until_it_is_rebuilt(empty: RedisBudgets, client: redis.Redis):
    assert empty.epoch() == 0
    for asked in (empty.reserve("i1", [claim()]), empty.peek([claim()]), empty.reserve("i1", [])):
        assert (asked.granted, asked.epoch, asked.refused_by) == (False, 0, None)
        assert asked.refusal.guard == "budgets"
    assert client.dbsize() == 0
    empty.rebuild(7, [])
    assert empty.epoch() == 7
    assert empty.reserve("i1", [claim()]).epoch == 7


def test_a_flush_denies_even_known_keys_until_rebuilt(budgets: RedisBudgets, client: redis.Redis):
    budgets.reserve("i1", [claim(limit=1)])
    client.flushall()
    client.script_flush()
    assert not budgets.reserve("i1", [claim(limit=1)])
    budgets.rebuild(2, [spend(claim().key, "i1")])
    assert not budgets.reserve("i2", [claim(limit=1)])


@pytest.mark.parametrize("forged", ["0", "-4", "soon", "1e9", ""])
def test_an_epoch_that_is_none_grants_nothing(budgets: RedisBudgets, client: redis.Redis, forged: str):
    client.set("byteport:epoch", forged)
    assert budgets.epoch() == 0 or forged == "-4"
    assert not budgets.reserve("i1", [claim()]).granted


def test_a_rebuild_replaces_everything_but_what_is_not_ours(budgets: RedisBudgets, client: redis.Redis):
    client.set("celery", "not ours")
    budgets.reserve("old", [claim("a"), claim("b", seconds=0)])
    budgets.rebuild(
        2,
        [spend("a", "i1", 2, 59), spend("a", "gone", 1, 61), spend("b", "i2", 1, 9e6, 0), spend("c", "i1", 1, 5)],
    )
    assert [count.used for count in budgets.counts([claim("a"), claim("b", seconds=0), claim("c")])] == [2, 1, 1]
    assert client.get("celery") == b"not ours"
    assert budgets.epoch() == 2


def test_after_a_rebuild_a_known_intent_is_neither_doubled_nor_lost(budgets: RedisBudgets):
    budgets.rebuild(2, [spend("a", "i1", 2), spend("b", "i1", 1)])
    again = budgets.reserve("i1", [claim("a", amount=2), claim("b")])
    assert (again.granted, again.amount, again.epoch, used(budgets, claim("a"))) == (True, 2, 2, 2)
    budgets.give_back("i1")
    assert [count.used for count in budgets.counts([claim("a"), claim("b")])] == [0, 0]


def test_spends_of_one_intent_on_one_counter_add_up_in_a_rebuild(budgets: RedisBudgets):
    budgets.rebuild(2, [spend("a", "i1", 2, 10), spend("a", "i1", 1, 3), spend("a", "i2", 1, 90, 3600)])
    assert [count.used for count in budgets.counts([claim("a"), claim("a", seconds=3600)])] == [3, 4]


def test_a_rebuild_takes_many_spends(budgets: RedisBudgets):
    budgets.rebuild(2, [spend(f"k{n % 50}", f"i{n}", 1, n % 40) for n in range(20_000)])
    assert used(budgets, claim("k7")) == 400


def test_a_rebuild_demands_an_epoch(budgets: RedisBudgets):
    with pytest.raises(Permanent, match="at least 1"):
        budgets.rebuild(0, [])
    assert budgets.epoch() == 1


@pytest.mark.parametrize("bad", [{"amount": -1}, {"seconds": -1}])
def test_nobody_claims_less_than_nothing(budgets: RedisBudgets, bad: dict[str, int]):
    with pytest.raises(Permanent, match="less than nothing"):
        budgets.reserve("i1", [claim(**bad)])


def test_names_from_outside_stay_names(budgets: RedisBudgets, client: redis.Redis):
    odd = claim("*:\n'\" ü }", limit=2, seconds=0)
    budgets.reserve("i:1:*\n", [odd])
    budgets.reserve("12:i", [odd])
    assert used(budgets, odd) == 2
    budgets.give_back("i:1:*\n")
    assert used(budgets, odd) == 1


def test_nothing_that_ends_is_kept_for_ever(budgets: RedisBudgets, client: redis.Redis):
    day = 24 * 3600
    budgets.reserve("i1", [claim("short"), claim("long", seconds=3 * day)])
    assert day < client.ttl("byteport:b:grant:i1") <= 3 * day
    assert 0 < client.ttl("byteport:b:w:short") <= 60
    budgets.reserve("i2", [claim("short")])
    assert day - 60 < client.ttl("byteport:b:grant:i2") <= day


def test_what_is_over_is_swept_away_by_the_next_spend(budgets: RedisBudgets, client: redis.Redis):
    brief = claim(limit=100, seconds=0.03)
    for n in range(5):
        budgets.reserve(f"i{n}", [brief])
    eventually(lambda: used(budgets, brief) == 0)
    budgets.reserve("last", [brief])
    assert client.zcard("byteport:b:w:db_kills:db1") == 2, "the last spend, and how long spends are worth keeping"


def test_each_decision_is_one_round_trip(budgets: RedisBudgets, client: redis.Redis):
    budgets.reserve("warm", [claim("x")])
    client.config_resetstat()
    before = client.info("stats")["total_commands_processed"]
    budgets.reserve("i1", [claim("a"), claim("b"), claim("c")])
    stats = client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 1
    assert client.info("stats")["total_commands_processed"] - before < 40
    assert "cmdstat_multi" not in stats
