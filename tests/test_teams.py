"""Whose a signal is, and where its team is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from byteport.errors import BadConfiguration
from byteport.model.signal import Signal
from byteport.model.target import Target
from byteport.settings import Settings
from byteport.wiring import build
from byteport.wiring_channels import channels_of
from byteport.wiring_policy import policy_of

PAGERDUTY = {"pagerduty": {"routing_key": "R0123456789abcdef"}}
TEAMS = {
    "payments": {"services": ["checkout", "billing"], "channels": PAGERDUTY},
    "data": {"match": {"kind": "database", "cluster": "prod"}, "channels": {"slack": {"token": "xoxb-1-x", "channel": "#data"}}},
}  # fmt: skip


def settings(**more) -> Settings:
    return Settings.model_validate({"teams": TEAMS, **more})


def signal(kind: str = "host", key: str = "web1", **labels: str) -> Signal:
    return Signal(
        name="disk_pressure", source="alertmanager", target=Target(kind=kind, key=key), fired_at=datetime.now(UTC),
        labels=labels,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "team"),
    [
        (signal(service="checkout"), "payments"),
        (signal(app="billing"), "payments"),
        (signal("service", "checkout"), "payments"),
        (signal("database", "db1/shop", cluster="prod"), "data"),
        (signal("database", "db1/shop", cluster="prod", service="checkout"), "payments"),
        (signal("database", "db1/shop", cluster="test"), ""),
        (signal("host", "checkout"), ""),
        (signal(), ""),
    ],
)
def test_the_first_team_that_owns_it(told, team):
    assert policy_of(settings()).team("disk_pressure", told) == team


def test_a_team_has_ways_of_its_own_and_shares_the_others(tmp_path):
    told = settings(data_dir=tmp_path, channels={"slack": {"token": "xoxb-1-x", "channel": "#ops"}})
    assert channels_of(told).keys() == {"journal", "slack", "pagerduty/payments", "slack/data"}


def test_a_team_that_nothing_selects_is_refused():
    with pytest.raises(ValidationError, match="a team that nothing selects"):
        settings(teams={"nobody": {"channels": PAGERDUTY}})


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"policy": {"operators": ["slack"]}}, r"policy\.operators\.0"),
        ({"channels": {"slack": {"token": "x", "channel": "#a", "approvers": ["U0ADA0000"]}}}, r"channels\.slack\.signing_secret"),
    ],
)  # fmt: skip
def test_what_leads_to_nobody_does_not_start(more, key):
    stores = {"database_url": "postgresql://h/l", "broker_url": "redis://h/0"}
    with pytest.raises(BadConfiguration, match=key):
        build(Settings.model_validate({**stores, **more}), "cli")


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ({"slack": {"token": "x"}}, "channel is required with token"),
        ({"slack": {"token": "x", "channel": "#a", "webhook": "https://hooks.slack.com/x"}}, "not both"),
        ({"postmark": {"token": "x"}}, "sender and recipients are required"),
        ({"postmark": {"token": "x", "sender": "nobody", "recipients": ["a@b.c"]}}, "sender"),
        ({"github_issue": {"token": "x"}}, "repository is required"),
    ],
)
def test_half_a_channel_is_refused(channels, told):
    with pytest.raises(ValidationError, match=told):
        Settings.model_validate({"channels": channels})


def test_every_channel_is_wired_by_its_settings(tmp_path):
    told = Settings.model_validate({
        "data_dir": tmp_path,
        "channels": {
            "slack": {"webhook": "https://hooks.slack.com/services/T0/B0/x"},
            "pagerduty": {"routing_key": "R0123456789abcdef"},
            "postmark": {"token": "t", "sender": "BytePort <a@ops.example>", "recipients": ["b@ops.example"]},
            "github_issue": {"token": "t", "repository": "acme-example/ops"},
        },
    })  # fmt: skip
    ways = channels_of(told)
    assert ways.keys() == {"journal", "slack", "pagerduty", "postmark", "github_issue"}
    assert {name: way.askable for name, way in ways.items()} == {
        "journal": True, "slack": False, "pagerduty": False, "postmark": True, "github_issue": True,
    }  # fmt: skip
