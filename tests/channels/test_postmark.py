"""Mail by Postmark over real HTTP: told once, threaded, found again, and harmless to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from byteport.adapters.postmark import PostmarkServer
from byteport.channels.postmark import LONGEST_BODY, Postmark, html, subject
from byteport.errors import Denied, Permanent, Transient
from tests.channels.messages import delivery, resolution
from tests.http_server import HANGS, LOST, Asked, Reply, loopback

TOKEN = "0123abcd-0000-4000-8000-00000000beef"
SENDER = "BytePort <byteport@ops.example>"
FIRST = "00000000-0000-4000-8000-000000000001"


@dataclass
class Server:
    """As Postmark is documented: takes mail with its headers and metadata, and finds it by them."""

    http: Any = None
    mails: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("x-postmark-server-token") != TOKEN:
            return Reply(401, {"ErrorCode": 10, "Message": "The Server Token you provided was invalid."})
        if (asked.method, asked.path) == ("POST", "/email"):
            return self._send(asked.json)
        assert (asked.method, asked.path) == ("GET", "/messages/outbound")
        wanted = {
            name.removeprefix("metadata_"): value for name, value in asked.query.items() if name.startswith("metadata_")
        }
        found = [mail for mail in self.mails if wanted.items() <= mail["Metadata"].items()]
        shown = [{"MessageID": mail["MessageID"], "Metadata": mail["Metadata"]} for mail in found]
        return Reply(200, {"TotalCount": len(found), "Messages": shown[: int(asked.query["count"])]})

    def _send(self, mail: dict[str, Any]) -> Reply:
        if "gone@" in mail["To"]:
            return Reply(
                422, {"ErrorCode": 406, "Message": "You tried to send to recipients that have been marked as inactive."}
            )
        assert all(len(name) <= 20 and len(value) <= 80 for name, value in mail["Metadata"].items())
        assert "\n" not in mail["Subject"]
        mail["MessageID"] = f"00000000-0000-4000-8000-{len(self.mails) + 1:012x}"
        self.mails.append(mail)
        return Reply(
            200,
            {
                "To": mail["To"],
                "SubmittedAt": "2026-11-26T10:00:00Z",
                "MessageID": mail["MessageID"],
                "ErrorCode": 0,
                "Message": "OK",
            },
        )


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with loopback(made.answer) as http:
        made.http = http
        yield made


@pytest.fixture
def channel(server: Server) -> Postmark:
    return Postmark(
        PostmarkServer.at(TOKEN, server.http.url, timedelta(seconds=1)), SENDER, ("sre@ops.example", "b@ops.example")
    )


def test_a_mail_tells_in_html_and_in_text(server, channel):
    assert channel.send(delivery()).reference == FIRST
    (mail,) = server.mails
    assert (mail["From"], mail["To"], mail["MessageStream"]) == (SENDER, "sre@ops.example, b@ops.example", "outbound")
    assert mail["Subject"] == "[critical] db_connection_pool_exhaustion: db1/app escalated"
    for body in (mail["HtmlBody"], mail["TextBody"]):
        assert "the kill cap was hit" in body
        assert "select pg_terminate_backend(4711);" in body
        assert "https://byteport.example.test/incidents/i1" in body
    assert mail["Metadata"] == {"byteport-delivery": "dlv-1", "byteport-incident": "i1"}


def test_what_adds_to_a_mail_answers_it(server, channel):
    channel.send(delivery())
    channel.send(resolution(repeat_of=FIRST))
    headers = {header["Name"]: header["Value"] for header in server.mails[1]["Headers"]}
    assert headers["In-Reply-To"] == headers["References"] == f"<{FIRST}@mtasv.net>"
    assert server.mails[1]["Subject"].startswith("[ended] ")
    assert "In-Reply-To" not in str(server.mails[0]["Headers"])


def test_a_lost_answer_is_found_again(server, channel):
    server.http.instead.append(LOST)
    with pytest.raises(Transient):
        channel.send(delivery())
    found = channel.find(delivery())
    assert found is not None
    assert found.reference == FIRST
    assert channel.find(delivery("dlv-9")) is None


def test_what_came_from_elsewhere_is_text_and_nothing_else(server, channel):
    evil = "<script>alert(1)</script><img src=x onerror=y>\"'&"
    told = delivery(
        message={
            "title": f"x: {evil}\r\nBcc: all@ops.example", "text": evil, "fields": {evil: evil},
            "bundle": {"timeline": [evil]}, "link": "javascript:alert(1)",
        }
    )  # fmt: skip
    channel.send(told)
    (mail,) = server.mails
    assert "<script" not in mail["HtmlBody"]
    assert "<img" not in mail["HtmlBody"]
    assert "href" not in mail["HtmlBody"]
    assert "\n" not in mail["Subject"]


def test_long_things_are_cut():
    told = delivery(message={"title": "x" * 3000, "bundle": {"timeline": ["<" * 99] * 9000}})
    assert len(subject(told)) <= 250
    assert len(html(told)) < LONGEST_BODY + 300
    assert html(told).endswith("</body></html>")
    assert "the whole is in the console" in html(told)


def test_a_dry_run_says_so():
    told = delivery(message={"dry_run": True})
    assert "[dry run]" in subject(told)
    assert "nothing was changed" in html(told)


@pytest.mark.parametrize(
    ("instead", "kind", "told", "wait"),
    [
        (Reply(401, {"ErrorCode": 10, "Message": "invalid"}), Denied, "token is not accepted", None),
        (Reply(422, {"ErrorCode": 300, "Message": "Invalid 'From' address"}), Permanent, "code 300", None),
        (Reply(422, {"ErrorCode": 405, "Message": "Not allowed to send"}), Transient, "code 405", None),
        (Reply(429, {"ErrorCode": 429, "Message": "Rate limit"}, {"Retry-After": "9"}), Transient, "429", 9),
        (Reply(500, {"ErrorCode": 500, "Message": "oops"}), Transient, "HTTP 500", None),
        (Reply(200, "<html>"), Transient, "no JSON", None),
        (HANGS, Transient, "timed out", None),
    ],
)
def test_what_goes_wrong_says_what_it_means_and_no_token(server, channel, instead, kind, told, wait):
    server.http.instead.append(instead)
    with pytest.raises(kind, match=told) as wrong:
        channel.send(delivery())
    assert TOKEN not in str(wrong.value)
    named = wrong.value.retry_after
    assert (None if named is None else named.total_seconds()) == wait
    assert server.mails == []


def test_a_recipient_that_must_not_be_written_to_is_no_reason_to_try_again(server):
    channel = Postmark(PostmarkServer.at(TOKEN, server.http.url), SENDER, ("gone@ops.example",))
    with pytest.raises(Permanent, match="code 406"):
        channel.send(delivery())
