"""Messages as files: whole, private, once."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from byteport.channels.journal import Journal, as_markdown
from byteport.errors import Transient
from byteport.records.delivery import Delivery, Message


def delivery(id_: str = "d1", **more: Any) -> Delivery:
    message = Message(
        **{
            "kind": "escalation",
            "channel": "journal",
            "dedup_key": "k",
            "title": "disk_full: web1 escalated",
            "text": "the floor was reached",
            "fields": {"host": "web1"},
            "bundle": {
                "timeline": ["10:00 opened", "10:01 escalated"],
                "plan": {"steps": ["a ``` b"]},
                "nothing": None,
            },
            **more,
        }
    )
    return Delivery(
        id=id_,
        incident="i1",
        message=message,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        due_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_message_becomes_one_private_file_and_one_log_line(tmp_path: Path):
    journal = Journal(tmp_path / "messages")
    with capture_logs() as lines:
        receipt = journal.send(delivery())
    written = Path(receipt.reference)
    assert written == tmp_path / "messages" / "d1.md"
    assert written.read_text() == as_markdown(delivery())
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
    assert [(line["event"], line["incident"], line["log_level"]) for line in lines] == [
        ("disk_full: web1 escalated", "i1", "warning")
    ]


def test_what_was_written_is_found_and_nothing_else(tmp_path: Path):
    journal = Journal(tmp_path)
    assert journal.askable
    assert journal.find(delivery()) is None
    receipt = journal.send(delivery())
    assert journal.find(delivery()) == receipt
    assert journal.find(delivery("d2")) is None


def test_twice_sent_is_one_file(tmp_path: Path):
    journal = Journal(tmp_path)
    assert journal.send(delivery()) == journal.send(delivery())
    assert [path.name for path in tmp_path.iterdir()] == ["d1.md"]


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a/b", "", ".", "..", "x" * 300, "ü\n"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    journal = Journal(tmp_path / "messages")
    written = Path(journal.send(delivery(name)).reference)
    assert written.resolve().parent == (tmp_path / "messages").resolve()
    assert journal.find(delivery(name)) is not None


def test_a_folder_that_cannot_be_written_is_transient(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    journal = Journal(tmp_path / "file" / "messages")
    with pytest.raises(Transient, match="journal"):
        journal.send(delivery())


def test_a_draft_that_was_left_behind_is_not_taken_for_the_message(tmp_path: Path):
    (tmp_path / ".d1.md.1234").write_text("half")
    assert Journal(tmp_path).find(delivery()) is None


def test_the_text_tells_everything():
    text = as_markdown(delivery(dry_run=True, link="https://b/i1"))
    assert text.startswith(
        "# disk_full: web1 escalated\n\n**Dry run: nothing was changed.**\n\nthe floor was reached\n"
    )
    assert "- host: web1\n- link: https://b/i1" in text
    assert "## timeline\n\n```\n10:00 opened\n10:01 escalated\n```" in text
    assert f"````\n{json.dumps({'steps': ['a ``` b']}, indent=2)}\n````" in text
    assert "nothing\n" not in text
