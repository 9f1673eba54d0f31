"""What tests of inaction ask of a world, and change in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis

from tests.ward.world import World


def refused_by(world: World, incident: str) -> list[str]:
    return [verdict["guard"] for verdict in world.verdicts(incident)]


def flush(url: str) -> None:
    """Everything is gone, as after a failover to an empty replica."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


def with_policy(world: World, **changes: Any) -> None:
    world.policy = replace(world.policy, **changes)
