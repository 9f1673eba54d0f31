"""Mail by Postmark: HTML and text, threaded by the mail's own headers, found again by its metadata.

Postmark's search shows a message some seconds after it was taken. The outbox asks before a retry, which is never sooner
than a second or two after a lost answer; within that time a mail may be told twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from byteport.channels.journal import as_markdown
from byteport.records.delivery import Delivery, Receipt

DELIVERY, INCIDENT = "byteport-delivery", "byteport-incident"
LONGEST_BODY = 200_000
LONGEST_SUBJECT = 250
WORDS = {"resolution": "ended", "approval": "approval wanted", "acknowledgement": "taken"}
COLOURS = {"critical": "#b00020", "high": "#c2410c", "warning": "#a16207", "info": "#1d4ed8"}


class Mailer(Protocol):
    """Postmark's API as far as it is used. Raises Transient, Permanent or Denied."""

    def send(self, mail: Mapping[str, Any]) -> str:
        """The message's id."""
        ...

    def find(self, name: str, value: str) -> str:
        """The id of a message with that metadata; empty where there is none."""
        ...


@dataclass(frozen=True)
class Postmark:
    """Mails to fixed recipients. `stream` is Postmark's message stream."""

    mailer: Mailer
    sender: str
    recipients: Sequence[str]
    stream: str = "outbound"
    name: str = "postmark"
    askable: bool = True

    def send(self, delivery: Delivery) -> Receipt:
        return Receipt(reference=self.mailer.send(self.mail(delivery)))

    def find(self, delivery: Delivery) -> Receipt | None:
        found = self.mailer.find(DELIVERY, delivery.marker)
        return Receipt(reference=found) if found else None

    def mail(self, delivery: Delivery) -> dict[str, Any]:
        """As Postmark takes it. What adds to an earlier mail answers it, so that readers show them together."""
        domain = self.sender.rpartition("@")[2].rstrip(">") or "byteport"
        headers = [{"Name": "X-BytePort-Incident", "Value": delivery.incident or "none"}]
        if delivery.repeat_of:
            first = f"<{delivery.repeat_of}@mtasv.net>"
            headers += [{"Name": "In-Reply-To", "Value": first}, {"Name": "References", "Value": first}]
        return {
            "From": self.sender,
            "To": ", ".join(self.recipients),
            "Subject": subject(delivery),
            "HtmlBody": html(delivery),
            "TextBody": as_markdown(delivery)[:LONGEST_BODY],
            "MessageStream": self.stream,
            "Tag": delivery.message.kind,
            "Headers": headers,
            "Metadata": {DELIVERY: delivery.marker, INCIDENT: delivery.incident or domain},
        }


def subject(delivery: Delivery) -> str:
    """One line, the same for what belongs together but for a word in front."""
    message = delivery.message
    word = WORDS.get(message.kind, message.severity)
    dry = "[dry run] " if message.dry_run else ""
    return f"[{word}] {dry}{' '.join(message.title.split())}"[:LONGEST_SUBJECT]


def html(delivery: Delivery) -> str:
    """Readable on a phone; everything that came from elsewhere is escaped."""
    told = "".join(_parts(delivery))
    if len(told) > LONGEST_BODY:
        told = f"{told[:LONGEST_BODY].rpartition('<')[0]}</pre><p>Cut; the whole is in the console.</p>"
    frame = "font:15px/1.45 system-ui,sans-serif;max-width:42em;margin:0 auto;padding:1em;color:#111"
    return f'<!doctype html><html><body style="{frame}">{told}</body></html>'


def _parts(delivery: Delivery) -> Iterator[str]:
    message = delivery.message
    colour = COLOURS.get(message.severity, COLOURS["warning"])
    if message.dry_run:
        yield "<p><b>Dry run: nothing was changed.</b></p>"
    yield f'<h2 style="border-left:4px solid {colour};padding-left:.5em">{escape(message.title)}</h2>'
    yield f"<p>{escape(message.text)}</p>" if message.text else ""
    rows = [(name, value) for name, value in message.fields.items() if value not in (None, "")]
    if rows:
        cells = "".join(f"<tr><td>{escape(str(n))}</td><td><b>{escape(str(v))}</b></td></tr>" for n, v in rows)
        yield f'<table cellpadding="4">{cells}</table>'
    if message.link.startswith(("http://", "https://")):
        yield f'<p><a href="{escape(message.link, quote=True)}">Open the incident</a></p>'
    for name, title in (("manual_commands", "By hand"), ("timeline", "Timeline")):
        if lines := message.bundle.get(name):
            shown = "\n".join(str(line) for line in lines)
            yield f"<h3>{title}</h3><pre style='white-space:pre-wrap'>{escape(shown)}</pre>"
