"""The page that recovers memory by a restart, before a real host: what was just released is left alone, and what is in a
loop; the service that holds most is really restarted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_releases import HostReleases
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_pressure_auto_recover import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.pages.shelf import HOST
from tests.real.hosts import service, shown, way_to
from tests.real.short_of_memory import Host, eats, furnish, ports

LATER = '#!/bin/sh\n[ "$1" = +%s ] && echo $(( $(/bin/date +%s) + 7200 )) || exec /bin/date "$@"\n'


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, ("eater.service",))))
        furnish(one)
        yield one


@pytest.fixture
def two_hours_later(web) -> Iterator[None]:
    """What asks this host for the time hears of a later one: its files were all made a minute ago."""
    date = web.root / "usr/local/bin/date"
    date.write_text(LATER)
    date.chmod(0o755)
    yield
    date.unlink()


@pytest.fixture
def host(ledger_url: str, redis_url: str, web) -> Iterator[Host]:
    migrate(ledger_url)
    ledger, budgets, hosts = PostgresLedger(ledger_url), RedisBudgets(redis_url), way_to(web)
    one = Host(ledger, budgets, None, ledger_url, redis_url, pages=(RUNBOOK,), slug=RUNBOOK.name)  # type: ignore[arg-type]
    one.real = ports(hosts)
    yield one
    hosts.close()
    ledger.close()
    budgets.close()


TARGET = Target(kind=TargetKind.SERVICE, key=f"eater@{HOST}")


def test_the_service_that_holds_most_is_really_restarted(host, web, two_hours_later):
    was = eats(web, "eater")
    incident = host.treat(target=TARGET)
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "managed_consumer")
    assert shown(web, "eater.service", "InvocationID") not in ("", was)
    web.as_root("systemctl", "stop", "eater.service")


def test_one_that_was_just_released_is_not(host, web):
    was = eats(web, "eater")
    incident = host.treat(target=TARGET)
    assert (incident.phase, incident.diagnosis.name) == (Phase.ESCALATE, "just_released")
    assert "look at that release first" in incident.reason
    assert shown(web, "eater.service", "InvocationID") == was
    web.as_root("systemctl", "stop", "eater.service")


def test_one_that_its_service_manager_keeps_restarting_is_not(host, web, two_hours_later):
    service(web, "eater", "sleep 0.3; exit 1", label="safe", more=["Restart=always", "RestartSec=100ms"])
    incident = host.treat(target=TARGET)
    assert incident.phase is Phase.ESCALATE
    assert incident.diagnosis.name in ("crash_loop", "another_consumer")
    assert not [intent for intent in host.ledger.intents_of(incident.id) if intent.attempts]
    web.as_root("systemctl", "stop", "eater.service")


@pytest.mark.parametrize(
    "change", ["touch /srv/app/run", "ln -sfn /srv/two /srv/current", "cp -p /bin/true /srv/app/tool"]
)
def test_whatever_changes_what_it_runs_is_a_release(web, change):
    """Whatever date the file bears: a copy, a script's date, a link turned to an older release."""
    web.as_root("sh", "-c", "mkdir -p /srv/app /srv/one /srv/two; cp /bin/sleep /srv/one/s; cp /bin/sleep /srv/two/s")
    web.as_root("sh", "-c", "ln -sfn /srv/one /srv/current; echo : >/srv/app/run")
    lines = ("[Service]", "WorkingDirectory=/srv/app", "ExecStart=/srv/current/s 1000 /srv/app/run")
    (web.root / "etc/systemd/system/app.service").write_text("\n".join([*lines, ""]))
    web.as_root("systemctl", "daemon-reload")
    hosts = way_to(web)
    web.as_root("sh", "-c", f"sleep 1.1; {change}")
    seen = HostReleases(hosts).newest(HOST, "app.service")
    hosts.close()
    assert seen.what in ("/srv/app/run", "/srv/current", "/srv/app")
    assert seen.age is not None
    assert seen.age < 30
