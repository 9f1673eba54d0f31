"""What Slack shows of a message: pure, within Slack's limits, and nothing of it can mention or link anybody."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from byteport.channels.slack_blocks import addition, blocks, escaped, line
from byteport.records.delivery import Delivery, Message

texts = st.text(max_size=4000) | st.sampled_from(["<!channel>", "<@U123>", "`" * 400, "&" * 3000, "<https://x|y>"])
values = texts | st.integers() | st.none() | st.lists(texts, max_size=3)
messages = st.builds(
    Message,
    kind=st.sampled_from(["escalation", "resolution", "approval", "notice"]),
    channel=st.just("slack"),
    dedup_key=st.just("k"),
    title=texts,
    text=texts,
    severity=st.sampled_from(["critical", "high", "warning", "info", "odd"]),
    fields=st.dictionaries(texts.filter(bool), values, max_size=50),
    bundle=st.fixed_dictionaries(
        {},
        optional={
            "diagnosis": st.none() | st.fixed_dictionaries({"name": texts, "confidence": st.integers(0, 100)}),
            "timeline": st.lists(texts, max_size=30),
            "manual_commands": st.lists(texts, max_size=30) | st.none(),
            "anything": values,
        },
    ),
    dry_run=st.booleans(),
    link=st.sampled_from(["", "https://b.example.test/i/1", "javascript:alert(1)", "https://x|<!here>"]),
)


def delivery(message: Message) -> Delivery:
    return Delivery(
        id="d1",
        incident="i1",
        message=message,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        due_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def plain(**more: Any) -> Message:
    return Message(
        **{
            "kind": "escalation",
            "channel": "slack",
            "dedup_key": "k",
            "title": "disk_full: web1 escalated",
            "text": "why",
            **more,
        }
    )


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@given(messages)
def test_every_message_keeps_within_slacks_limits(message: Message):
    for shown in (blocks(delivery(message)), addition(delivery(message))):
        assert len(shown) <= 50
        for block in shown:
            if block["type"] == "header":
                assert 0 < len(block["text"]["text"]) <= 150
            assert all(0 < len(field["text"]) <= 2000 for field in block.get("fields", []))
            assert len(block.get("fields", [])) <= 10
            assert all(len(element["text"]) <= 2000 for element in block.get("elements", []))
            if block["type"] == "section" and "text" in block:
                assert 0 < len(block["text"]["text"]) <= 3000
    assert 0 < len(line(message)) < 3500


@given(messages)
def test_no_text_from_outside_mentions_anybody_in_the_line(message: Message):
    assert all(opened.startswith("https://") for opened in line(message).split("<")[1:])


@given(messages)
def test_only_our_own_link_stands_in_angle_brackets(message: Message):
    for block in [*blocks(delivery(message)), *addition(delivery(message))]:
        if block["type"] != "header":  # plain text: nothing in it is markup
            for text in strings(block):
                assert all(opened.startswith("https://") for opened in text.split("<")[1:])


def test_the_line_ends_with_the_link_and_says_dry_run():
    message = plain(
        fields={"host": "web1", "freed": "2 GiB", "none": None, "link": "x"}, dry_run=True, link="https://b/i"
    )
    assert (
        line(message)
        == ":rotating_light: *disk_full* [dry run] | host: `web1` | freed: `2 GiB` | <https://b/i|details>"
    )


def test_without_fields_the_line_says_what_happened():
    assert line(plain()) == ":rotating_light: *disk_full* | web1 escalated | why"


def test_a_resolution_looks_like_one():
    assert line(plain(kind="resolution")).startswith(":white_check_mark:")


def test_a_rehearsal_is_marked_in_header_and_context():
    shown = blocks(delivery(plain(dry_run=True)))
    assert "[dry run]" in shown[0]["text"]["text"]
    assert "*dry run: nothing was changed*" in [element["text"] for element in shown[-1]["elements"]]


def test_diagnosis_commands_and_the_end_of_the_timeline_are_shown():
    bundle = {
        "diagnosis": {"name": "idle_in_tx_backlog", "confidence": 91},
        "manual_commands": ["SELECT 1 WHERE a < b"],
        "timeline": [f"line {n}" for n in range(40)],
        "snapshot": "behind the link",
    }
    shown = "\n".join(strings(blocks(delivery(plain(bundle=bundle)))))
    assert "`idle_in_tx_backlog` confidence `91`" in shown
    assert "SELECT 1 WHERE a &lt; b" in shown
    assert "line 39" in shown
    assert "line 2\n" not in shown
    assert "behind the link" not in shown


@given(st.text())
def test_escaping_leaves_no_markup(text: str):
    assert not {"<", ">"} & set(escaped(text))
