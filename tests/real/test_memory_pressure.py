"""The page on a host's memory before a real host: a service that eats memory is really restarted, or really not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_pressure import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.pages.shelf import HOST
from tests.real.hosts import shown, way_to
from tests.real.short_of_memory import Host, eats, furnish, ports

UNITS = ("eater.service", "flaps.service", "kept.service")


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, UNITS)))
        furnish(one)
        yield one


@pytest.fixture
def host(ledger_url: str, redis_url: str, web) -> Iterator[Host]:
    migrate(ledger_url)
    ledger, budgets, hosts = PostgresLedger(ledger_url), RedisBudgets(redis_url), way_to(web)
    one = Host(ledger, budgets, None, ledger_url, redis_url)  # type: ignore[arg-type]
    one.real = ports(hosts)
    yield one
    hosts.close()
    ledger.close()
    budgets.close()


def test_a_service_that_eats_memory_is_really_restarted(host, web):
    was = eats(web, "eater")
    host.remembers(60, eater=50)
    incident = host.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "leaking_service")
    assert shown(web, "eater.service", "InvocationID") not in ("", was)
    assert shown(web, "eater.service", "ActiveState") == "active"
    told = host.heard(incident, "pre_restart_audit")[0]
    assert "processes" in told
    assert "open files and" in told  # of root's processes: by sudo
    assert "they need root" not in told
    web.as_root("systemctl", "stop", "eater.service")


def test_one_without_the_label_is_never_touched(host, web):
    was = eats(web, "kept", label="")
    host.remembers(60, kept=50)
    incident = host.treat()
    assert incident.phase is Phase.ESCALATE
    assert "does not carry byteport.restart=safe" in incident.reason
    assert shown(web, "kept.service", "InvocationID") == was
    web.as_root("systemctl", "stop", "kept.service")


def test_one_that_comes_up_only_to_end_again_has_not_been_helped(host, web):
    eats(web, "flaps", then="[ $size = 280M ] && exec sleep 1000; exit 1", later="1M")
    host.remembers(60, flaps=50)
    incident = host.treat()
    assert incident.phase is Phase.ESCALATE
    assert "restart failed" in incident.reason
    web.as_root("systemctl", "stop", "flaps.service")


def test_a_host_whose_people_did_not_opt_in_is_left_alone(host, web):
    was = eats(web, "eater")
    inventory = web.root / "etc/byteport/host.yaml"
    inventory.write_text("byteport.io/auto-remediate: cpu\n")
    try:
        host.remembers(60, eater=50)
        incident = host.treat()
    finally:
        inventory.write_text("byteport.io/auto-remediate: memory\n")
    assert "host_opt_in" in host.refusals(incident)
    assert shown(web, "eater.service", "InvocationID") == was
    web.as_root("systemctl", "stop", "eater.service")


def test_open_files_of_others_are_not_seen_without_sudo_and_that_is_said(host, web):
    eats(web, "kept", label="")
    web.install_sudoers([])
    try:
        seen = host.real["memory"].audit(HOST)
    finally:
        web.install_sudoers(sudoers(RUNBOOK.name, web.user, RUNBOOK.as_root({}, UNITS)))
    assert seen.of("kept.service")
    assert all(one.sockets is None for one in seen.of("kept.service"))
    assert "need root, or find by sudo" in seen.lacks[0]
    web.as_root("systemctl", "stop", "kept.service")
