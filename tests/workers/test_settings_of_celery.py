"""The settings that reliability rests on, against the table of times."""

from __future__ import annotations

from typing import Any

import pytest

from byteport.errors import BadConfiguration
from byteport.settings import Settings
from workers.app import celery_settings
from workers.roles import HARD_LIMIT, PROBE_LIMIT, SOFT_LIMIT, limit_of

LEASE_SECONDS = 40.0


@pytest.fixture
def told() -> dict[str, Any]:
    return celery_settings(Settings(broker_url="redis://127.0.0.1:1/0"))


def test_there_is_no_result_backend_and_json_only(told: dict[str, Any]) -> None:
    assert "result_backend" not in told
    assert told["task_ignore_result"] is True
    assert told["accept_content"] == ["json"]
    assert told["task_serializer"] == "json"


def test_a_broker_with_tls_keeps_the_transport_that_encrypts(told: dict[str, Any]) -> None:
    assert told["broker_transport"] == "workers.broker:Transport"
    assert "broker_transport" not in celery_settings(Settings(broker_url="rediss://127.0.0.1:1/0"))


def test_a_task_ends_before_its_claim_does(told: dict[str, Any]) -> None:
    assert (told["task_soft_time_limit"], told["task_time_limit"]) == (30.0, 35.0)
    assert told["task_soft_time_limit"] < told["task_time_limit"] < LEASE_SECONDS


def test_the_broker_keeps_no_copy_of_what_was_taken(told: dict[str, Any]) -> None:
    assert told["broker_transport_options"]["ack_emulation"] is False


def test_nobody_waits_for_ever_on_a_dead_line(told: dict[str, Any]) -> None:
    options = told["broker_transport_options"]
    assert all(options[name] for name in ("socket_timeout", "socket_connect_timeout", "health_check_interval"))
    assert told["broker_connection_max_retries"] is None


def test_a_killed_child_is_not_fed_its_message_again(told: dict[str, Any]) -> None:
    assert told["task_acks_late"] is True
    assert told["task_reject_on_worker_lost"] is False
    assert told["worker_prefetch_multiplier"] == 1


def test_the_limits_by_task() -> None:
    assert limit_of("byteport.probe") == PROBE_LIMIT
    assert limit_of("byteport.remediate") == SOFT_LIMIT < HARD_LIMIT


def test_without_a_broker_the_missing_key_is_named() -> None:
    with pytest.raises(BadConfiguration, match="broker_url"):
        celery_settings(Settings())


def test_a_tick_outlives_the_skew_that_is_allowed_between_two_clocks(told: dict[str, Any]) -> None:
    assert told["beat_schedule"]["sweep"]["schedule"] == 1.0
    assert all(entry["options"]["expires"] > 5 for entry in told["beat_schedule"].values())


def test_the_poller_ticks_as_people_configured_it() -> None:
    settings = Settings(broker_url="redis://h/0", pollers={"database": {"period": 25.0}})
    assert celery_settings(settings)["beat_schedule"]["poll databases"]["schedule"] == 25.0


def test_a_disabled_poller_does_not_tick() -> None:
    settings = Settings(broker_url="redis://h/0", pollers={"database": {"enabled": False}})
    assert "poll databases" not in celery_settings(settings)["beat_schedule"]


def test_a_day_is_anchored_also_where_one_tick_is_lost(told: dict[str, Any]) -> None:
    entry = told["beat_schedule"]["anchor journals"]
    assert (entry["task"], told["task_routes"]["byteport.anchor"]) == ("byteport.anchor", {"queue": "sweep"})
    assert len(entry["schedule"].hour) * len(entry["schedule"].minute) > 1
