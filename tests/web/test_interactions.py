"""Slack's buttons: only what Slack has signed lately, only from people who are named, only for the plan they saw."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from byteport.adapters.slack import SlackAnswers
from byteport.channels.slack_blocks import blocks
from byteport.settings import Settings
from byteport.sources.slack_actions import parse
from tests.channels.messages import delivery
from tests.http_server import Asked, Reply, loopback
from tests.web.conftest import TOKEN, Service, StandingWorld, serving

SIGNING = "a-signing-secret-for-tests"
ADA, EVE = "U0ADA0000", "U0EVE0000"
PATH = "/slack/interactions"


@pytest.fixture
def clicks(standing: StandingWorld) -> Iterator[Service]:
    told = {
        "database_url": standing.settings.ledger_dsn, "data_dir": standing.settings.data_dir, "web": {"token": TOKEN},
        "channels": {"slack": {"signing_secret": SIGNING, "approvers": [ADA]}},
    }  # fmt: skip
    with serving(StandingWorld(Settings.model_validate(told), standing.ledger)) as running:
        yield running


@pytest.fixture
def incident(standing: StandingWorld, signal: dict[str, Any]) -> str:
    from byteport.model.signal import Signal

    signal["target"]["within"] = ["server:db1"]
    admission = standing.engine.take(Signal.model_validate_json(json.dumps(signal)))
    assert admission is not None
    return admission.incident


def click(incident: str, word: str = "ack", user: str = ADA, plan: str = "", **more: Any) -> bytes:
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": "ada", "team_id": "T1"},
        "actions": [{"action_id": f"byteport:{word}", "type": "button", "value": f"{incident} {plan}".strip()}],
        "response_url": "https://elsewhere.example/x",
        **more,
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def signed(body: bytes, at: float | None = None, secret: str = SIGNING) -> dict[str, str]:
    dated = f"{at if at is not None else time.time():.0f}"
    mac = hmac.new(secret.encode(), f"v0:{dated}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Signature": f"v0={mac}", "X-Slack-Request-Timestamp": dated,
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip


def words(service: Service, incident: str) -> list[str]:
    return [event.text for event in service.world.ledger.events(incident) if event.kind == "command"]


def test_a_click_of_somebody_who_is_named_counts(clicks, incident):
    body = click(incident)
    with clicks.anybody() as client:
        assert client.post(PATH, content=body, headers=signed(body)).status_code == 200
    assert words(clicks, incident) == [f"ack by ada ({ADA}, slack): in Slack"]
    taken = clicks.world.ledger.incident(incident)
    assert taken is not None
    assert taken.acknowledged_by == f"ada ({ADA}, slack)"


def test_a_click_of_anybody_else_does_not(clicks, incident):
    body = click(incident, "cancel", EVE)
    with clicks.anybody() as client:
        assert client.post(PATH, content=body, headers=signed(body)).status_code == 200
    assert words(clicks, incident) == []


@pytest.mark.parametrize("plan", ["", "0" * 64])
def test_an_approval_is_for_a_plan_that_waits(clicks, incident, plan):
    body = click(incident, "approve", plan=plan)
    with clicks.anybody() as client:
        assert client.post(PATH, content=body, headers=signed(body)).status_code == 200
    assert words(clicks, incident) == []


@pytest.mark.parametrize(
    "headers",
    [
        lambda _body: {},
        lambda body: signed(body, secret="another-secret-of-some-length"),
        lambda body: signed(body, at=time.time() - 400),
        lambda body: signed(body + b"&x=1"),
        lambda body: {**signed(body), "X-Slack-Signature": signed(body)["X-Slack-Signature"].removeprefix("v0=")},
        lambda body: {**signed(body), "X-Slack-Request-Timestamp": "soon"},
    ],
)
def test_what_slack_did_not_sign_lately_is_refused(clicks, incident, headers):
    body = click(incident)
    with clicks.anybody() as client:
        answer = client.post(PATH, content=body, headers=headers(body))
    assert answer.status_code == 401
    assert SIGNING not in answer.text
    assert words(clicks, incident) == []


def test_without_a_signing_secret_nobody_listens(service, incident):
    body = click(incident)
    with service.anybody() as client:
        assert client.post(PATH, content=body, headers=signed(body)).status_code == 404
    assert words(service, incident) == []


@pytest.mark.parametrize(
    "more",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [{"action_id": "other:ack", "value": "inc-0"}]},
        {"actions": [{"action_id": "byteport:explode", "value": "inc-00"}]},
        {"actions": [{"action_id": "byteport:ack", "value": "inc-00; drop"}]},
        {"actions": "x"},
    ],
)
def test_what_is_no_button_of_ours_is_left_alone(more):
    assert parse(click("inc-00", **more)) is None


@pytest.mark.parametrize("body", [b"", b"payload=", b"payload=[", b"\xff", b"a=b"])
def test_a_form_that_is_none_is_refused(clicks, body):
    with clicks.anybody() as client:
        assert client.post(PATH, content=body, headers=signed(body)).status_code == 422


def test_what_came_of_it_is_said_only_where_slack_listens():
    with loopback(lambda _asked: Reply(200, "ok", {"Content-Type": "text/plain"})) as slack:
        SlackAnswers(("127.0.0.1",))(f"{slack.url}/actions/1", "done")
        SlackAnswers()(f"{slack.url}/actions/1", "not done")
        SlackAnswers(("127.0.0.1",))("http://127.0.0.1:1/gone", "nobody")
        (asked,) = slack.asked
    assert isinstance(asked, Asked)
    assert asked.json["text"] == "done"


def test_buttons_stand_only_where_somebody_listens():
    asked = delivery(
        incident="inc-00", message={"kind": "approval", "buttons": ("approve", "cancel"), "plan": "0" * 64}
    )
    (shown,) = [block for block in blocks(asked, buttons=True) if block["type"] == "actions"]
    assert [(e["action_id"], e["value"]) for e in shown["elements"]] == [
        ("byteport:approve", f"inc-00 {'0' * 64}"), ("byteport:cancel", f"inc-00 {'0' * 64}"),
    ]  # fmt: skip
    assert all(block["type"] != "actions" for block in blocks(asked))
    clicked = parse(click("inc-00", "approve", plan="0" * 64))
    assert clicked is not None
    assert (clicked.word, clicked.incident, clicked.plan) == ("approve", "inc-00", "0" * 64)
