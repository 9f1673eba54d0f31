"""Slack's Web API and incoming webhooks through slack_sdk, which here never repeats a request by itself.

A repeat by the library after a lost answer would double a message; the outbox asks first, and then decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import structlog
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse, WebClient
from slack_sdk.webhook import WebhookClient

from byteport.channels.base import NoSuchThread
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.redaction import redact_text

log: Any = structlog.get_logger("byteport.slack")
PATIENCE = timedelta(seconds=10)
PAGE, PAGES = 200, 10
PASSING = frozenset(
    ("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout")
)
LOGIN = frozenset(("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission"))
WORD = re.compile(r"[a-z0-9_]+")
GONE = frozenset(("thread_not_found", "cannot_reply_to_message", "message_not_found"))


class SlackWeb:
    """Posts and reads with a bot's token. A right that is missing raises Denied and names it."""

    def __init__(self, token: str, base_url: str = "https://slack.com/api/", patience: timedelta = PATIENCE) -> None:
        self._client = WebClient(
            token, base_url=base_url, timeout=max(1, round(patience.total_seconds())), retry_handlers=[]
        )

    def post(
        self, channel: str, text: str, blocks: Sequence[dict[str, Any]], metadata: Mapping[str, Any], thread: str = "",
        loud: bool = False,
    ) -> tuple[str, str]:  # fmt: skip
        with _translated():
            told = self._client.chat_postMessage(
                channel=channel,
                text=text,
                blocks=list(blocks),
                metadata=dict(metadata),
                thread_ts=thread or None,
                reply_broadcast=True if thread and loud else None,
                unfurl_links=False,
                unfurl_media=False,
            )
            return str(told["channel"]), str(told["ts"])

    def messages(self, channel: str, since: datetime) -> Iterator[dict[str, Any]]:
        oldest = f"{since.timestamp():.6f}"
        return self._pages("conversations.history", {"channel": channel, "oldest": oldest})

    def replies(self, channel: str, thread: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._pages("conversations.replies", {"channel": channel, "ts": thread})
        except NoSuchThread:
            return

    def _pages(self, method: str, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """At most ten pages of two hundred: what an earlier try left is among the newest."""
        cursor = ""
        for _ in range(PAGES):
            params = {
                **asked,
                "include_all_metadata": "true",
                "limit": str(PAGE),
                **({"cursor": cursor} if cursor else {}),
            }
            with _translated():
                page = self._client.api_call(method, http_verb="GET", params=params)
                found = list(page.get("messages") or [])
                cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            yield from found
            if not cursor:
                return


class SlackIncomingWebhook:
    """Posts to the one channel that the webhook belongs to. Its address is a secret."""

    def __init__(self, url: str, patience: timedelta = PATIENCE) -> None:
        self._client = WebhookClient(url, timeout=max(1, round(patience.total_seconds())), retry_handlers=[])

    def post(self, text: str, blocks: Sequence[dict[str, Any]]) -> None:
        with _translated():
            answer = self._client.send(text=text, blocks=list(blocks), unfurl_links=False, unfurl_media=False)
        if answer.status_code != 200:
            raise _error(answer.status_code, answer.body, answer.headers)


class SlackAnswers:
    """Says in Slack what came of a click, at the address that came with it; only at an address of Slack's own."""

    def __init__(self, hosts: Sequence[str] = ("hooks.slack.com",), patience: timedelta = PATIENCE) -> None:
        self._hosts = frozenset(hosts)
        self._patience = patience

    def __call__(self, address: str, text: str) -> None:
        """To the channel, beside the message. Raises nothing: the word was given all the same."""
        parts = urlsplit(address)
        if parts.hostname not in self._hosts or (parts.scheme != "https" and parts.hostname != "127.0.0.1"):
            return
        client = WebhookClient(address, timeout=max(1, round(self._patience.total_seconds())), retry_handlers=[])
        try:
            client.send(text=text, response_type="in_channel", replace_original=False)
        except (URLError, OSError, HTTPException, SlackClientError) as problem:
            log.warning("click_not_answered", error=_clean(problem))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SlackApiError as refusal:
        raise _refusal(refusal.response) from refusal
    except json.JSONDecodeError as garbled:
        raise Transient("slack: the answer was no JSON") from garbled
    except (URLError, OSError, HTTPException, SlackClientError) as problem:
        raise Transient(f"slack: {_clean(problem)}") from problem


def _refusal(answer: SlackResponse | dict[str, Any]) -> BytePortError:
    if not isinstance(answer, SlackResponse):
        return Transient(f"slack: {_clean(answer)}")
    said = answer.data if isinstance(answer.data, dict) else {}
    if said.get("error") == "missing_scope":
        return Denied(f"slack: the token lacks {_clean(said.get('needed'))}; add it to the app and install it again")
    return _error(answer.status_code, said.get("error", ""), answer.headers)


def _error(status: int, said: object, headers: Mapping[str, str]) -> BytePortError:
    word = _clean(said).strip() or f"HTTP {status}"
    if status == 429 or word in PASSING:
        return Transient(f"slack: {word}", retry_after=_retry_after(headers))
    if status == 200 and not WORD.fullmatch(word):
        return Transient("slack: the answer was not Slack's")  # a portal or a proxy in between
    if status >= 500:
        return Transient(f"slack: HTTP {status}", retry_after=_retry_after(headers))
    if word in GONE:
        return NoSuchThread(f"slack: {word}")
    if word in LOGIN:
        return Permanent(f"slack: {word}: the token is not accepted")
    return Permanent(f"slack: {word}")


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Whole seconds, at most an hour: a figure beyond that would silence an escalation."""
    named = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return timedelta(seconds=min(int(named), 3600)) if named.isdigit() else None


def _clean(text: object) -> str:
    return redact_text(str(text))[:200]
