"""What the wiring makes of the configuration."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from byteport.model.target import Target, TargetKind
from byteport.settings import Settings
from byteport.wiring_policy import policy_of
from byteport.wiring_pollers import pollers_of

FILE = """
database_url: postgresql://byteport@ledger.example.net/byteport
broker_url: redis://127.0.0.1:6379/0
budgets_url: redis://127.0.0.1:6379/1
self_targets: [node:n7]
databases:
  shop:
    url: postgresql://probe@db1.example.net:5433/shop
    annotations: {byteport.io/skip: "true"}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    path = tmp_path / "byteport.yaml"
    path.write_text(FILE)
    monkeypatch.setenv("BYTEPORT_CONFIG", str(path))
    return Settings.load()


@pytest.mark.parametrize(
    ("kind", "key", "known"),
    [
        (TargetKind.DATABASE, "db1.example.net:5433/shop", {"byteport.io/skip": "true"}),
        (TargetKind.DATABASE, "db2.example.net/other", None),
        (TargetKind.POD, "prod/shop/web-1", None),
        (TargetKind.HOST, "web1", None),
        (TargetKind.SERVICE, "mail", {}),
    ],
)
def test_opt_outs_that_nobody_can_read_are_unknown_and_not_absent(
    settings: Settings, kind: TargetKind, key: str, known: dict[str, str] | None
) -> None:
    """Guards deny on None; a service has no place of its own where somebody could have opted out."""
    assert policy_of(settings).annotations(Target(kind=kind, key=key)) == known


def test_a_process_knows_itself_although_it_could_not_register(settings: Settings) -> None:
    ours = policy_of(settings).self_targets
    assert {
        f"host:{socket.gethostname()}", "node:n7", "server:ledger.example.net", "database:ledger.example.net/byteport"
    } <= ours  # fmt: skip
    assert "server:db1.example.net:5433" not in ours


def test_hosts_that_are_looked_at_are_also_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has grown can be told only by whoever wrote down what was."""
    path = tmp_path / "byteport.yaml"
    path.write_text("hosts: {here: {transport: local}}\npollers: {vitals: {enabled: true}}\n")
    monkeypatch.setenv("BYTEPORT_CONFIG", str(path))
    kept: Any = Kept()
    pollers = {poller.name: poller for poller in pollers_of(Settings.load(), kept)}
    assert pollers["memory"].period == timedelta(minutes=5)
    assert pollers["memory"].ask(datetime.now(UTC)) == ()
    assert kept.hosts == ["here"]


class Kept:
    """A ledger that keeps the names."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    def remember_memory(self, host: str, held: dict[str, int]) -> None:
        assert held
        self.hosts.append(host)
