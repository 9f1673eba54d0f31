"""A message to people, as a row of the outbox; and the postmortem."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from byteport.model.base import Json, Value

Kind = Literal["escalation", "resolution", "approval", "notice", "acknowledgement"]


class Message(Value):
    """What is said, once for every channel. Redacted before it is stored.

    `dedup_key` identifies the matter, `marker` this one message at the channel (what `find` looks for). `loud` asks
    the channel to make itself heard although the message adds to another. `buttons` are the words that a person may
    answer with there (approve, cancel, ack), `plan` the digest that an approval is bound to.
    """

    kind: Kind
    channel: str
    dedup_key: str
    dedup_seconds: float = 3600.0
    title: str
    text: str
    severity: str = "critical"
    fields: Json = Field(default_factory=dict)
    bundle: Json = Field(default_factory=dict)
    dry_run: bool = False
    link: str = ""
    loud: bool = False
    buttons: tuple[str, ...] = ()
    plan: str = ""


class Delivery(Value):
    """One message to one channel. `repeat_of` is the channel's reference of the message this one adds to: for how an
    incident ended, what was told of it first. `closes`: nothing else that was told there is still open. `incident` is
    empty for what concerns none. No try is older than `created_at`, while `due_at` moves with each."""

    id: str
    incident: str
    message: Message
    state: Literal["due", "sending", "sent", "failed", "suppressed"] = "due"
    tries: int = 0
    created_at: AwareDatetime
    due_at: AwareDatetime
    reference: str = ""
    repeat_of: str = ""
    closes: bool = True
    error: str = ""
    sent_at: AwareDatetime | None = None

    @property
    def marker(self) -> str:
        return self.id


class Receipt(Value):
    """What a channel answered: its own reference of the message."""

    reference: str


class Postmortem(Value):
    """The structured record and its Markdown, told from the journal."""

    incident: str
    record: Json
    markdown: str
