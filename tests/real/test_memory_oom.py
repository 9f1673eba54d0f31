"""The page on kills for want of memory, before a group that the kernel really kills in, and a service that is really
restarted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.host_memory import HostMemory
from byteport.adapters.host_runtime import HostRuntimes
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.model.facts.memory import MIB, Group, TopMemory
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_pressure_oom import RUNBOOK
from byteport.shown.sudoers import sudoers
from tests import machine
from tests.adapters.test_host_memory import Here, in_a_group, told
from tests.machine import Machine
from tests.pages.oom import leaks, target, treat
from tests.pages.shelf import HOST
from tests.real.hosts import shown, way_to
from tests.real.short_of_memory import Host, Older, eats, furnish, ports
from tests.servers import eventually

GREEDY = "import os; os.fork() or bytearray(200 << 20); print('kept', flush=True); import time; time.sleep(60)"


@pytest.fixture
def stores(ledger_url: str, redis_url: str) -> Iterator[Host]:
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    one = Host(ledger, budgets, None, ledger_url, redis_url, pages=(RUNBOOK,), slug=RUNBOOK.name)  # type: ignore[arg-type]
    one.real = {}
    yield one
    ledger.close()
    budgets.close()


def test_a_kill_by_the_kernel_is_told_with_its_group_s_own_figures(stores):
    """No service of systemd's: nothing is restarted, and people hear how often, in what, and under which limit."""
    here = HostMemory(Here())
    stores.real = {"memory": here, "runtimes": HostRuntimes(Here())}
    with in_a_group("byteport-killed", 60 * MIB, GREEDY) as process:
        assert told(process) == "kept"
        eventually(lambda: (one := here.group("here", "byteport-killed")) and one.oom_kills, within=20)
        incident = treat(stores, target=target(f"byteport-killed@{HOST}"))
    assert incident.phase is Phase.ESCALATE
    bundle = stores.notebook.sent[0].message.bundle
    assert bundle["cgroup_limit"] == "60 MiB"
    assert "1 kills (/byteport-killed, v1)" in bundle["cgroup_usage"]
    assert stores.box.asked == []


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running() as one:
        assert RUNBOOK.as_root is not None
        one.install_sudoers(sudoers(RUNBOOK.name, one.user, RUNBOOK.as_root({}, ("eater.service",))))
        furnish(one)
        yield one


class Limited(Older):
    """Two hours more, for a leak needs two hours of one life. The host's controllers cannot be written inside: the service's limit is told instead, on what it really holds."""

    def top(self, host: str) -> TopMemory:
        seen = super().top(host)
        return seen.with_(consumers=tuple(one.with_(age=one.age + 7200) for one in seen.consumers))

    def group(self, host: str, name: str) -> Group | None:
        found = self.top(host).of(name)
        if found is None:
            return None
        return Group(path=f"/system.slice/{name}", version=2, current=found.rss, working_set=found.rss, limit=300 * MIB,
                     anon=found.rss, oom_kills=0)  # fmt: skip


@pytest.mark.parametrize("label", ["safe", ""])
def test_a_leak_is_really_restarted_and_only_where_it_is_labelled(stores, web, label):
    hosts = way_to(web)
    more: dict[str, Any] = {"memory": Limited(hosts), "runtimes": HostRuntimes(hosts)}
    stores.real = {**ports(hosts), **more}
    web.as_root("rm", "-rf", "/etc/systemd/system/eater.service.d")
    was = eats(web, "eater", label=label)
    leaks(stores)
    with psycopg.connect(stores.url, autocommit=True) as connection:
        connection.execute(
            "update byteport.memory_looks set held = jsonb_build_object('eater.service', held -> 'shop.service')"
        )
    incident = treat(stores, target=target(f"eater@{HOST}"))
    now = shown(web, "eater.service", "InvocationID")
    web.as_root("systemctl", "stop", "eater.service")
    hosts.close()
    assert incident.diagnosis.name == "memory_leak"
    assert (incident.ending, now != was) == (("resolved", True) if label else ("", False))
