"""A host that drops the connection while a service is being restarted: whether it was is seen by its invocation, and it
is not restarted a second time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.records.incident import Incident, Phase
from byteport.runbooks.linux.memory_pressure import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.machine import Machine
from tests.real.hosts import cut_off_once, shown, way_to
from tests.real.short_of_memory import Host, eats, furnish, ports
from tests.ward.world import World

UNIT = "eater.service"

SLOWLY = """#!/bin/sh
[ "$1" = try-restart ] || exec /usr/bin/systemctl.real "$@"
echo "$*" >>/srv/asked
{before}
/usr/bin/systemctl.real "$@"; did=$?
{after}
exit $did
"""
WAITS = "touch /srv/now; sleep 3"


class Watched(Host):
    """`comes`: what was begun at the host is waited for there; else only the ledger's time passes."""

    comes = True

    def wait_of(self, incident: str) -> float:
        return super().wait_of(incident) if self.comes else World.wait_of(self, incident)


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, [UNIT])))
        tool = one.root / "usr/bin/systemctl"
        tool.rename(tool.with_name("systemctl.real"))
        tool.symlink_to("systemctl.real")
        furnish(one)
        yield one


@pytest.fixture
def host(ledger_url: str, redis_url: str, web: Machine) -> Iterator[Watched]:
    migrate(ledger_url)
    ledger, budgets, hosts = PostgresLedger(ledger_url), RedisBudgets(redis_url), way_to(web)
    one = Watched(ledger, budgets, None, ledger_url, redis_url)  # type: ignore[arg-type]
    one.real = ports(hosts)
    yield one
    web.as_root("systemctl", "stop", UNIT)
    hosts.close()
    ledger.close()
    budgets.close()


def restarts_slowly(web: Machine, **when: str) -> None:
    """Its systemctl writes down who asks for a restart, and waits before or after it has passed that on."""
    web.as_root("rm", "-f", "/srv/asked", "/srv/now")
    tool = web.root / "usr/bin/systemctl"
    tool.unlink()
    tool.write_text(SLOWLY.format(**{"before": "", "after": "", **when}))
    tool.chmod(0o755)


def starts(web: Machine) -> int:
    """How often the service was started, by the host's own journal."""
    return web.as_root("journalctl", "--unit", UNIT, "--output", "cat").count("Started")


def story(host: Host, incident: Incident) -> str:
    told = [f"  {event.kind}: {event.text}" for event in host.ledger.events(incident.id)]
    return "\n".join([f"{incident.phase}, {incident.ending}: {incident.reason}", *told])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restart_that_is_cut_off_is_settled_by_looking_and_done_once(host: Watched, web: Machine, when: str) -> None:
    was = eats(web, "eater")
    host.remembers(60, eater=50)
    before = starts(web)
    restarts_slowly(web, **{when: WAITS})
    with cut_off_once(web, web.root / "srv/now") as cut:
        incident = host.treat()
    told = story(host, incident)
    assert cut, told
    assert "cut off" in told
    assert incident.ending == "resolved", told
    assert shown(web, UNIT, "InvocationID") not in ("", was), told
    assert web.as_root("cat", "/srv/asked").splitlines() == [f"try-restart --no-block -- {UNIT}"], told
    assert starts(web) - before == 1, told


@pytest.mark.timeout(240)
def test_a_restart_that_never_came_to_be_is_not_asked_for_again(host: Watched, web: Machine) -> None:
    """The command ended with its connection: nobody can know that, and what cannot be known is for people."""
    was = eats(web, "eater")
    host.remembers(60, eater=50)
    before = starts(web)
    restarts_slowly(web, before=f"{WAITS}; exit 1")
    host.comes = False
    with cut_off_once(web, web.root / "srv/now") as cut:
        incident = host.treat()
    told = story(host, incident)
    assert cut, told
    assert incident.phase is Phase.ESCALATE, told
    assert len(web.as_root("cat", "/srv/asked").splitlines()) == 1, told
    assert (starts(web) - before, shown(web, UNIT, "InvocationID")) == (0, was), told
