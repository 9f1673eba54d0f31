"""Nothing that acts starts on stores that may forget what they were told."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
import redis
from psycopg import sql

from byteport.embedded import RunningPostgres
from byteport.errors import Permanent
from tests.workers.workshop import Workshop


def test_a_budgets_store_that_may_evict_is_refused(fleet: Callable[..., Workshop], redis_url: str) -> None:
    shop = fleet()
    shop.world.check_stores()
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(Permanent, match="noeviction"):
        shop.world.check_stores()
    with pytest.raises(AssertionError, match="act is not ready"):
        shop.start("act")
    assert "noeviction" in shop.log("act")


def test_a_ledger_that_answers_before_the_disk_has_it_is_refused(
    fleet: Callable[..., Workshop], postgres_server: RunningPostgres, ledger_url: str
) -> None:
    shop = fleet()
    name = ledger_url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]
    with psycopg.connect(postgres_server.superuser_url, autocommit=True) as admin:
        admin.execute(sql.SQL("alter database {} set synchronous_commit = off").format(sql.Identifier(name)))
    shop.world.ledger.close()
    with pytest.raises(Permanent, match="synchronous_commit"):
        shop.world.check_stores()


def test_where_nothing_may_act_such_stores_are_no_reason_not_to_start(
    fleet: Callable[..., Workshop], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    shop = fleet(mode="dry_run")
    shop.world.check_stores()
    assert shop.world.policy.mode == "dry_run"
