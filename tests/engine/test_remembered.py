"""What must last is told although each look is another process's, and what nobody saw has not lasted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from byteport.adapters.host_vitals import HostVitals
from byteport.adapters.hosts import Hosts
from byteport.adapters.ledger import PostgresLedger
from byteport.engine.pages import Pages
from byteport.engine.polling import Polling
from byteport.engine.routing import Routing
from byteport.model.route import Route
from byteport.settings.hosts import HostSection
from byteport.sources.vitals import VitalRules, VitalsPoller
from tests import ssh_server
from tests.ssh_server import SshServer
from tests.ward.world import World

SECOND = timedelta(seconds=1)
MEMORY = Route.model_validate(
    {"match": {"alertname": "HostOutOfMemory"}, "signal": "ward_one", "target": {"kind": "service", "key": "{host}"}}
)


@pytest.fixture
def sshd(tmp_path) -> Iterator[SshServer]:
    with ssh_server.running(tmp_path) as server:
        yield server


def test_what_lasts_is_told_although_each_look_is_another_process_s(world: World, sshd: SshServer) -> None:
    world.ward.prepare("web1")
    section = HostSection(
        address="127.0.0.1", port=sshd.port, user=sshd.user, key_file=sshd.key, known_hosts=sshd.known_hosts
    )
    rules = VitalRules(cpu=2.0, memory=0.0, memory_seconds=2.0, disk=2.0, inodes=2.0)
    became = []
    for _ in range(5):  # each with connections and a memory of its own
        ledger, hosts = PostgresLedger(world.url), Hosts({"web1": section})
        poller = VitalsPoller(HostVitals(hosts), ("web1",), rules, SECOND, SECOND)
        routing = Routing(Pages(tuple(world.pages)), (MEMORY,))
        became.append(Polling(ledger, routing, world.engine().take, "c1").poll(poller))
        hosts.close()
        ledger.close()
        time.sleep(0.7)
    assert (became[0], became[4]) == ({}, {"taken": 1})
    assert [line.target for line in world.ledger.listing()] == ["service:web1"]
