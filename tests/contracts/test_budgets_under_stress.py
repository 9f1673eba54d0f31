"""Budgets under races, without memory, and on servers that go, hang, forget or may evict: never one grant too many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import redis

from byteport.adapters.budgets import RedisBudgets
from byteport.errors import Permanent, Unavailable
from byteport.grammar.verdict import Claim, Grant
from byteport.stores import Budgets
from tests.proxy import TcpProxy
from tests.servers import OwnRedis, eventually


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


def test_racing_workers_never_overspend(redis_url: str, budgets: RedisBudgets):
    """Eight workers with connections of their own, each asking as fast as it can; every key asked twice at once."""
    workers = [RedisBudgets(redis_url) for _ in range(8)]
    start = threading.Barrier(8)
    cap, ever = claim("cap", limit=37, amount=3, up_to=True), claim("ever", limit=25, seconds=0)

    def work(number: int) -> list[Grant]:
        start.wait()
        return [workers[number].reserve(f"i{number // 2}-{n}", [cap, ever]) for n in range(30)]

    with ThreadPoolExecutor(8) as pool:
        answers = [grant for grants in pool.map(work, range(8)) for grant in grants]
    granted = {grant.key: grant.amount for grant in answers if grant.granted}
    assert sum(granted.values()) == 37, "no more, and nothing wasted"
    assert all(granted[grant.key] == grant.amount for grant in answers if grant.granted), "the same grant to both"
    assert used(budgets, cap) == 37
    assert len(granted) <= 25
    for worker in workers:
        worker.close()


def test_no_window_is_overspent_at_any_instant(redis_url: str, budgets: RedisBudgets, client: redis.Redis):
    workers = [RedisBudgets(redis_url) for _ in range(6)]
    brief, watch = claim("brief", limit=3, seconds=0.03), claim("brief", limit=0, seconds=60, counts_only=True)

    def work(number: int) -> int:
        return sum(workers[number].reserve(f"i{number}-{n}", [brief, watch]).granted for n in range(150))

    with ThreadPoolExecutor(6) as pool:
        granted = sum(pool.map(work, range(6)))
    times = sorted(at / 1e6 for name, at in client.zrange("byteport:b:w:brief", 0, -1, withscores=True) if at > 0)
    assert len(times) == granted > 3
    assert all(sum(at - 0.03 < other <= at for other in times) <= 3 for at in times)
    for worker in workers:
        worker.close()


def test_a_server_without_memory_grants_nothing_and_changes_nothing(budgets: RedisBudgets, client: redis.Redis):
    brief = claim(limit=1, seconds=0.02)
    budgets.reserve("i1", [brief])
    eventually(lambda: used(budgets, brief) == 0)
    client.config_set("maxmemory", 1)
    with pytest.raises(Unavailable, match="memory"):
        budgets.reserve("i2", [brief])
    client.config_set("maxmemory", 0)
    assert not client.exists("byteport:b:grant:i2")
    assert budgets.reserve("i2", [brief]).granted


def test_a_server_that_is_gone_is_unavailable(own_redis: Callable[..., OwnRedis]):
    own = own_redis()
    budgets = RedisBudgets(own.url)
    budgets.rebuild(1, [])
    own.stop()
    for ask in (
        lambda: budgets.reserve("i1", [claim()]),
        lambda: budgets.peek([claim()]),
        lambda: budgets.counts([claim()]),
        lambda: budgets.give_back("i1"),
        lambda: budgets.rebuild(2, []),
        budgets.epoch,
        budgets.check,
    ):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert urlsplit(own.url).password not in str(caught.value)
        assert caught.value.__cause__ is not None
    budgets.close()


def test_a_server_that_came_back_empty_refuses_and_one_that_kept_its_data_goes_on(own_redis: Callable[..., OwnRedis]):
    own = own_redis(durable=True, appendfsync="always")
    budgets = RedisBudgets(own.url)
    budgets.rebuild(1, [])
    budgets.reserve("i1", [claim(limit=1)])
    own.restart()
    assert budgets.reserve("i2", [claim(limit=1)]).used == 1, "the kept connection is replaced without a word"
    own.restart(forgetting=True)
    assert budgets.reserve("i2", [claim(limit=1)]).epoch == 0
    budgets.close()


def test_a_server_that_hangs_is_given_up_once(redis_url: str, tcp_proxy: Callable[[int], TcpProxy]):
    proxy = tcp_proxy(urlsplit(redis_url).port)
    budgets = RedisBudgets(proxy.through(redis_url), patience=timedelta(milliseconds=200))
    budgets.rebuild(1, [])
    proxy.stall()
    begun = datetime.now(UTC)
    with pytest.raises(Unavailable, match=r"[Tt]ime"):
        budgets.reserve("i1", [claim()])
    assert datetime.now(UTC) - begun < timedelta(seconds=1.5)
    proxy.restore()
    assert eventually(lambda: _again(budgets)).granted
    budgets.close()


def _again(budgets: RedisBudgets) -> Grant | None:
    try:
        return budgets.reserve("i1", [claim()])
    except Unavailable:
        return None


def test_a_foreign_value_in_the_place_of_a_window_is_unavailable(budgets: RedisBudgets, client: redis.Redis):
    client.set("byteport:b:w:db_kills:db1", "not ours")
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        budgets.reserve("i1", [claim()])


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_evict_is_refused(budgets: RedisBudgets, client: redis.Redis, policy: str):
    budgets.check()
    client.config_set("maxmemory-policy", policy)
    with pytest.raises(Permanent, match=policy):
        budgets.check()
