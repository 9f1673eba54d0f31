"""Slack, with a bot's token (which can be asked what arrived) or through an incoming webhook (which cannot)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from byteport.channels import slack_blocks
from byteport.channels.base import NoSuchThread
from byteport.channels.slack_blocks import Block
from byteport.errors import Denied
from byteport.records.delivery import Delivery, Receipt

EVENT = "byteport_delivery"
CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{7,}")
LOOK_BACK = timedelta(hours=6)  # before the delivery was made: the clocks of two machines may differ


class SlackClient(Protocol):
    """Slack's API as far as it is used. Raises Transient, Permanent, Denied or NoSuchThread."""

    def post(
        self, channel: str, text: str, blocks: Sequence[Block], metadata: Mapping[str, Any], thread: str = "",
        loud: bool = False,
    ) -> tuple[str, str]:  # fmt: skip
        """Post once, never twice by itself; (channel's id, the message's timestamp). `loud`: what goes into a thread is
        shown in the channel too."""
        ...

    def messages(self, channel: str, since: datetime) -> Iterable[Mapping[str, Any]]:
        """A channel's messages with their metadata, newest first, without thread replies."""
        ...

    def replies(self, channel: str, thread: str) -> Iterable[Mapping[str, Any]]:
        """A thread's messages with their metadata; none where the thread is gone."""
        ...


class SlackHook(Protocol):
    """An incoming webhook. Raises Transient or Permanent."""

    def post(self, text: str, blocks: Sequence[Block]) -> None: ...


@dataclass(frozen=True)
class Slack:
    """Posts to one channel. The delivery's id travels as message metadata, and is read back by `find`.

    Only a channel given by its id can be read, so only then it is askable. The token needs chat:write, and
    channels:history (groups:history for a private channel) to be asked; without that right it tells at least once.
    `interactive`: somebody listens to its buttons.
    """

    client: SlackClient
    channel: str
    name: str = "slack"
    interactive: bool = False

    @property
    def askable(self) -> bool:
        return CHANNEL_ID.fullmatch(self.channel) is not None

    def send(self, delivery: Delivery) -> Receipt:
        text = slack_blocks.line(delivery.message)
        metadata = {"event_type": EVENT, "event_payload": {"delivery": delivery.marker, "incident": delivery.incident}}
        if told := _place(delivery.repeat_of):
            channel, thread = told
            try:
                shown = slack_blocks.addition(delivery, buttons=self.interactive)
                return _receipt(*self.client.post(channel, text, shown, metadata, thread, loud=delivery.message.loud))
            except NoSuchThread:
                pass  # somebody deleted it: told as new, for told it must be
        shown = slack_blocks.blocks(delivery, buttons=self.interactive)
        return _receipt(*self.client.post(self.channel, text, shown, metadata))

    def find(self, delivery: Delivery) -> Receipt | None:
        """Looks in the thread of a repeat, then in the channel, six hours back from when it was due."""
        if not self.askable:
            return None
        try:
            if told := _place(delivery.repeat_of):
                channel, thread = told
                if found := _marked(delivery, channel, self.client.replies(channel, thread)):
                    return found
            return _marked(delivery, self.channel, self.client.messages(self.channel, delivery.created_at - LOOK_BACK))
        except Denied:
            return None  # it may tell twice, which is better than not at all


@dataclass(frozen=True)
class SlackWebhook:
    """Tells at least once: a webhook answers nothing that a message could be found by, and knows no threads."""

    hook: SlackHook
    name: str = "slack"
    askable: bool = False

    def send(self, delivery: Delivery) -> Receipt:
        shown = slack_blocks.addition(delivery) if delivery.repeat_of else slack_blocks.blocks(delivery)
        self.hook.post(slack_blocks.line(delivery.message), shown)
        return Receipt(reference="webhook")

    def find(self, delivery: Delivery) -> Receipt | None:
        return None


def _receipt(channel: str, timestamp: str) -> Receipt:
    return Receipt(reference=f"{channel}:{timestamp}")


def _place(reference: str) -> tuple[str, str] | None:
    """Channel and timestamp of what was told first; None where that was told elsewhere than in Slack."""
    channel, _, timestamp = reference.partition(":")
    return (channel, timestamp) if CHANNEL_ID.fullmatch(channel) and re.fullmatch(r"\d+\.\d+", timestamp) else None


def _marked(delivery: Delivery, channel: str, messages: Iterable[Mapping[str, Any]]) -> Receipt | None:
    for message in messages:
        metadata = message.get("metadata") or {}
        if metadata.get("event_type") == EVENT and metadata["event_payload"].get("delivery") == delivery.marker:
            return _receipt(channel, message["ts"])
    return None
