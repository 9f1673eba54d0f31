"""A message as Slack shows it: one line for notifications, blocks for the channel. Pure.

Slack's own limits: header 150 characters, section 3000, field 2000, ten fields a section, 50 blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from byteport.model.base import Json
from byteport.records.delivery import Delivery, Message

Block = dict[str, Any]

EMOJI = {"critical": ":rotating_light:", "high": ":red_circle:", "warning": ":warning:", "info": ":information_source:"}
KIND_EMOJI = {"resolution": ":white_check_mark:", "approval": ":raised_hand:"}
DRY_RUN = "dry run"
ACTION = "byteport:"
BUTTONS = {"approve": ("Approve", "primary"), "cancel": ("Do nothing", "danger"), "ack": ("I take it", "")}
LINE_LIMIT, TEXT_LIMIT, VALUE_LIMIT, COMMANDS, TIMELINE = 3000, 2900, 300, 20, 12


def line(message: Message) -> str:
    """`<emoji> *slug* | key: `value` | … | link`: all that a phone shows."""
    slug, _, matter = message.title.partition(": ")
    parts = [f"{_emoji(message)} *{escaped(slug)}*" + (f" [{DRY_RUN}]" if message.dry_run else "")]
    parts += [f"{escaped(key)}: {_code(value)}" for key, value in _said(message.fields)]
    if len(parts) == 1:
        parts += [_clipped(escaped(text), VALUE_LIMIT) for text in (matter, message.text) if text]
    linked = [_link(message)] if message.link else []
    return _clipped(" | ".join(parts), LINE_LIMIT) + "".join(f" | {link}" for link in linked)


def blocks(delivery: Delivery, *, buttons: bool = False) -> list[Block]:
    """Header, reason, summary fields, diagnosis, commands and the end of the timeline; the rest is behind the link."""
    message = delivery.message
    return [
        _header(message),
        *_reason(message),
        *_fields(message.fields),
        *_details(message.bundle),
        *(_buttons(delivery) if buttons else ()),
        _context(delivery),
    ]


def addition(delivery: Delivery, *, buttons: bool = False) -> list[Block]:
    """A repeat, in the thread of what was told first."""
    message = delivery.message
    return [_section(line(message)), *_reason(message), *(_buttons(delivery) if buttons else ()), _context(delivery)]


def _buttons(delivery: Delivery) -> Iterator[Block]:
    """A person's words; each carries the incident and, for an approval, the digest of the plan that is shown."""
    message = delivery.message
    if not message.buttons or not delivery.incident:
        return
    value = f"{delivery.incident} {message.plan}".strip()
    elements = [
        {
            "type": "button", "action_id": f"{ACTION}{word}", "value": value,
            "text": {"type": "plain_text", "text": BUTTONS[word][0]},
            **({"style": BUTTONS[word][1]} if BUTTONS[word][1] else {}),
        }
        for word in message.buttons if word in BUTTONS
    ]  # fmt: skip
    yield {"type": "actions", "elements": elements}


def escaped(text: object) -> str:
    """Text that Slack takes for text: it mentions nobody, links nowhere and stays on its line."""
    plain = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("\u2028", " ").strip()


def _emoji(message: Message) -> str:
    return KIND_EMOJI.get(message.kind) or EMOJI.get(message.severity, EMOJI["warning"])


def _header(message: Message) -> Block:
    mark = f"[{DRY_RUN}] " if message.dry_run else ""
    text = _clipped(f"{_emoji(message)} {mark}{' '.join(message.title.split())}", 150)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _reason(message: Message) -> list[Block]:
    text = escaped(message.text)
    return [_section(text)] if text else []


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _clipped(text, TEXT_LIMIT)}}


def _fields(fields: Json) -> Iterator[Block]:
    said = [
        {"type": "mrkdwn", "text": f"*{_clipped(escaped(key), 80)}*\n{_code(value)}"} for key, value in _said(fields)
    ]
    for start in range(0, min(len(said), 40), 10):
        yield {"type": "section", "fields": said[start : start + 10]}


def _details(bundle: Json) -> Iterator[Block]:
    if isinstance(diagnosis := bundle.get("diagnosis"), dict):
        yield _section(
            f"*Diagnosis* {_code(diagnosis.get('name', ''))} confidence {_code(diagnosis.get('confidence'))}"
        )
    for title, key, shown in (
        ("By hand", "manual_commands", slice(COMMANDS)),
        ("Timeline", "timeline", slice(-TIMELINE, None)),
    ):
        if isinstance(lines := bundle.get(key), list | tuple) and lines:
            yield _section(f"*{title}*\n{_preformatted(lines[shown])}")


def _context(delivery: Delivery) -> Block:
    message = delivery.message
    parts = [_link(message)] if message.link else []
    parts += [f"incident {_code(delivery.incident)}"] if delivery.incident else []
    parts += [f"severity {escaped(message.severity)}"]
    parts += ["*dry run: nothing was changed*"] if message.dry_run else []
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": part} for part in parts]}


def _said(fields: Json) -> Iterator[tuple[str, object]]:
    """What has a value and is not the link, which ends the line anyway."""
    return ((key, value) for key, value in fields.items() if value not in (None, "") and key != "link")


def _link(message: Message) -> str:
    address = message.link.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    return f"<{address}|details>" if message.link.startswith(("http://", "https://")) else escaped(message.link)


def _code(value: object) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    text = " ".join(escaped(value).replace("`", "'").split())
    return f"`{_clipped(text, VALUE_LIMIT) or '-'}`"


def _preformatted(lines: Sequence[object]) -> str:
    text = "\n".join(escaped(item).replace("```", "'''") for item in lines)
    return f"```\n{_clipped(text, TEXT_LIMIT - 100)}\n```"


def _clipped(text: str, limit: int) -> str:
    """At most `limit` characters; an entity is not cut in two."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    start = kept.rfind("&", -5)
    return (kept[:start] if start >= 0 and ";" not in kept[start:] else kept) + "…"
