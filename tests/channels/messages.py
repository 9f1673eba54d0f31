"""A message as the engine makes it, for the channels' tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from byteport.records.delivery import Delivery, Message

DUE = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def delivery(id_: str = "dlv-1", **more: Any) -> Delivery:
    told = {
        "kind": "escalation",
        "channel": "a channel",
        "dedup_key": "escalation|db_connection_pool_exhaustion|db1/app",
        "title": "db_connection_pool_exhaustion: db1/app escalated",
        "text": "the kill cap was hit",
        "fields": {"host_db": "db1/app", "terminated": 20},
        "bundle": {
            "classification": "idle_in_transaction_leak",
            "manual_commands": ["select pg_terminate_backend(4711);"],
            "timeline": ["10:00:00 signal: 95 %", "10:00:05 diagnosis: idle_in_transaction_leak"],
        },
        "link": "https://byteport.example.test/incidents/i1",
    }
    message = Message(**(told | more.pop("message", {})))
    return Delivery(**({"id": id_, "incident": "i1", "message": message, "created_at": DUE, "due_at": DUE} | more))


def resolution(id_: str = "dlv-2", **more: Any) -> Delivery:
    return delivery(id_, message={"kind": "resolution", "text": "verified"}, **more)


def taken(id_: str = "dlv-3", **more: Any) -> Delivery:
    return delivery(id_, message={"kind": "acknowledgement", "text": "ada has taken it"}, **more)
