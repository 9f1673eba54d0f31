"""Slack over real HTTP against a server that answers like Slack: told once, found again, and never doubled."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byteport.adapters.slack import SlackIncomingWebhook, SlackWeb
from byteport.channels.slack import Slack, SlackWebhook
from byteport.errors import Denied, Permanent, Transient
from byteport.records.delivery import Delivery, Message
from tests.channels.slack_server import CHANNEL, TOKEN, SlackServer, no, running

DUE = datetime.fromtimestamp(1_780_000_000, UTC)


def delivery(id_: str = "d1", **more: Any) -> Delivery:
    told = {
        "kind": "escalation",
        "channel": "slack",
        "dedup_key": "escalation|db_connection_pool_exhaustion|db1/app",
        "title": "db_connection_pool_exhaustion: db1/app escalated",
        "text": "the kill cap was hit",
        "fields": {"host_db": "db1/app", "terminated": 20},
        "link": "https://byteport.example.test/incidents/i1",
    }
    message = Message(**(told | more.pop("message", {})))
    return Delivery(**({"id": id_, "incident": "i1", "message": message, "created_at": DUE, "due_at": DUE} | more))


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with running() as slack:
        yield slack


@pytest.fixture
def slack(server: SlackServer) -> Slack:
    return Slack(SlackWeb(TOKEN, server.url, patience=timedelta(seconds=1)), CHANNEL)


def test_a_message_arrives_with_line_blocks_and_marker(server: SlackServer, slack: Slack):
    receipt = slack.send(delivery())
    (message,) = server.messages
    assert receipt.reference == f"{CHANNEL}:{message['ts']}"
    assert message["text"] == (
        ":rotating_light: *db_connection_pool_exhaustion* | host_db: `db1/app` | terminated: `20`"
        " | <https://byteport.example.test/incidents/i1|details>"
    )
    assert message["metadata"] == {
        "event_type": "byteport_delivery",
        "event_payload": {"delivery": "d1", "incident": "i1"},
    }
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "section", "context"]
    assert message["unfurl_links"] is False


def test_a_message_that_arrived_is_found_and_another_is_not(server: SlackServer, slack: Slack):
    receipt = slack.send(delivery("d1"))
    for n in range(5):
        slack.send(delivery(f"later{n}"))
    server.page = 2
    assert slack.find(delivery("d1")) == receipt
    assert slack.find(delivery("d")) is None
    assert len(server.messages) == 6, "asking tells nobody anything"


def test_what_others_wrote_is_not_taken_for_ours(server: SlackServer, slack: Slack):
    server.messages += [
        {"ts": "1780000001.000000", "text": "d1"},
        {"ts": "1780000002.000000", "metadata": {"event_type": "other", "event_payload": {"delivery": "d1"}}},
        {"ts": "1780000003.000000", "metadata": None},
    ]
    assert slack.find(delivery("d1")) is None


def test_what_came_long_before_the_delivery_is_not_looked_for(server: SlackServer, slack: Slack):
    slack.send(delivery("d1"))
    assert slack.find(delivery("d1", created_at=DUE + timedelta(days=1))) is None
    assert slack.find(delivery("d1", due_at=DUE + timedelta(days=1))) is not None


def test_a_repeat_becomes_a_thread_reply_and_is_found_there(server: SlackServer, slack: Slack):
    first = slack.send(delivery("d1"))
    again = delivery("d2", repeat_of=first.reference)
    assert slack.find(again) is None
    receipt = slack.send(again)
    assert server.messages[1]["thread_ts"] == server.messages[0]["ts"]
    assert slack.find(again) == receipt


def test_a_repeat_of_what_somebody_deleted_is_told_as_new(server: SlackServer, slack: Slack):
    again = delivery("d2", repeat_of=f"{CHANNEL}:1779999999.000000")
    receipt = slack.send(again)
    (message,) = server.messages
    assert "thread_ts" not in message
    assert message["blocks"][0]["type"] == "header"
    assert slack.find(again) == receipt


@pytest.mark.parametrize("elsewhere", ["/var/lib/byteport/messages/d1.md", "webhook", "C0123456789:", ""])
def test_a_repeat_of_what_was_told_elsewhere_is_told_as_new(server: SlackServer, slack: Slack, elsewhere: str):
    slack.send(delivery("d2", repeat_of=elsewhere))
    assert "thread_ts" not in server.messages[0]


def test_an_answer_that_is_lost_after_the_message_was_stored_doubles_nothing(server: SlackServer, slack: Slack):
    server.next_answers = [None]
    with pytest.raises(Transient, match="timed out"):
        slack.send(delivery())
    assert len(server.messages) == 1, "the library did not try again by itself"
    found = slack.find(delivery(tries=2))
    assert found is not None
    assert found.reference == f"{CHANNEL}:{server.messages[0]['ts']}"


def test_a_connection_that_breaks_is_not_tried_again_by_the_library(server: SlackServer, slack: Slack):
    server.released.set()
    server.next_answers = [None]
    with pytest.raises(Transient):
        slack.send(delivery())
    assert len(server.asked) == len(server.messages) == 1


def test_too_many_requests_name_their_time(server: SlackServer, slack: Slack):
    server.next_answers = [(429, {"Retry-After": "30"}, {"ok": False, "error": "ratelimited"})]
    with pytest.raises(Transient, match="ratelimited") as caught:
        slack.send(delivery())
    assert caught.value.retry_after == timedelta(seconds=30)
    assert not server.messages


@pytest.mark.parametrize(
    ("named", "waited"), [("999999", timedelta(hours=1)), ("soon", None), ("-5", None), ("", None)]
)
def test_a_time_that_is_none_or_too_long_is_not_believed(server: SlackServer, slack: Slack, named: str, waited: Any):
    server.next_answers = [(429, {"retry-after": named}, {"ok": False, "error": "ratelimited"})]
    with pytest.raises(Transient) as caught:
        slack.find(delivery())
    assert caught.value.retry_after == waited


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, {"ok": False, "error": "internal_error"}),
        (503, {"Content-Type": "text/html"}, "<html>busy</html>"),
        (200, {}, {"ok": False, "error": "fatal_error"}),
        (200, {"Content-Type": "text/html"}, "<html>a captive portal</html>"),
        (200, {}, ""),
    ],
)
def test_what_may_pass_is_transient(server: SlackServer, slack: Slack, answer: Any):
    server.next_answers = [answer]
    with pytest.raises(Transient, match="slack"):
        slack.send(delivery())


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "channel_not_found", "is_archived"])
def test_what_will_not_pass_is_permanent_and_named(server: SlackServer, slack: Slack, error: str):
    server.next_answers = [no(error)]
    with pytest.raises(Permanent, match=error) as caught:
        slack.send(delivery())
    assert TOKEN not in str(caught.value)


def test_a_wrong_token_is_permanent_and_not_told(server: SlackServer):
    slack = Slack(SlackWeb("xoxb-wrong-token-value", server.url), CHANNEL)
    with pytest.raises(Permanent, match="not accepted") as caught:
        slack.send(delivery())
    assert "xoxb" not in str(caught.value)


def test_a_missing_right_is_named(server: SlackServer, slack: Slack):
    server.scopes = set()
    with pytest.raises(Denied, match="chat:write"):
        slack.send(delivery())


def test_without_the_right_to_read_it_tells_at_least_once(server: SlackServer, slack: Slack):
    server.scopes = {"chat:write"}
    slack.send(delivery())
    assert slack.find(delivery()) is None


def test_a_server_that_is_not_there_is_transient(free_port: int):
    slack = Slack(SlackWeb(TOKEN, f"http://127.0.0.1:{free_port}/api/"), CHANNEL)
    with pytest.raises(Transient, match="refused"):
        slack.send(delivery())


def test_a_channel_known_by_name_only_cannot_be_asked(server: SlackServer):
    slack = Slack(SlackWeb(TOKEN, server.url), "#ops")
    assert slack.send(delivery()).reference.startswith(f"{CHANNEL}:")
    assert not slack.askable
    assert slack.find(delivery()) is None
    assert [asked.method for asked in server.asked] == ["/api/chat.postMessage"]


def test_an_incoming_webhook_tells_and_cannot_be_asked(server: SlackServer):
    hook = SlackWebhook(SlackIncomingWebhook(server.hook))
    assert hook.send(delivery()).reference == "webhook"
    assert server.messages[0]["text"].startswith(":rotating_light: *db_connection_pool_exhaustion*")
    assert not hook.askable
    assert hook.find(delivery()) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((429, {"Retry-After": "7"}, "rate_limited"), Transient),
        ((500, {}, "rollup_error"), Transient),
        ((404, {}, "no_service"), Permanent),
        ((403, {}, "invalid_token"), Permanent),
    ],
)
def test_a_webhook_that_refuses_says_so_and_keeps_its_address(server: SlackServer, answer: Any, kind: type[Exception]):
    server.next_answers = [answer]
    with pytest.raises(kind) as caught:
        SlackWebhook(SlackIncomingWebhook(server.hook)).send(delivery())
    assert "secretpart" not in str(caught.value)
    assert answer[0] != 429 or caught.value.retry_after == timedelta(seconds=7)


def test_no_token_in_any_log_line(server: SlackServer, slack: Slack, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    slack.send(delivery())
    assert TOKEN not in caplog.text
