"""A real sshd at a distance: how many round trips a diagnosis of a host waits for.

What a probe itself takes is the same at every distance, so the round trips are the slope of the whole diagnosis' time
over the time of one round trip.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from byteport import wiring
from byteport.engine.gathering import ask_all
from byteport.grammar.evidence import fields_of
from byteport.model.target import Target, TargetKind
from byteport.settings import Settings
from tests.proxy import TcpProxy
from tests.ssh_server import SshServer

NEAR, FAR = 0.01, 0.3  # seconds each way; a look of five seconds has ten, with the login
NAME = "patient"
OUT_OF_REACH = ("out of reach", "cut off", "in time", "session", "within")


@dataclass
class Distance(TcpProxy):
    """A door behind which everything arrives `delay` seconds later, in both directions, as much at once as there is."""

    target_port: int
    delay: float = 0.0
    _pumps: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.target_port)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._arrive, args=(under_way, sink), daemon=True).start()
        with suppress(OSError):
            while data := source.recv(65536):
                under_way.put((time.monotonic() + self.delay, data))
        under_way.put((time.monotonic() + self.delay, b""))

    def _arrive(self, under_way: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
        with suppress(OSError):
            while (found := under_way.get())[1]:
                time.sleep(max(0.0, found[0] - time.monotonic()))
                sink.sendall(found[1])
            sink.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class Journey:
    """A diagnosis' round trips on a connection that stands, with the connecting, and the logins that it took."""

    standing: float
    connecting: float
    logins: int


def round_trips(server: SshServer, runbook: str, rounds: int) -> Journey:
    """Of everything that the page asks the host. What else runs on the machine only ever adds to a diagnosis' time, so
    the quickest of each distance are compared."""
    before = server.logins()
    with Distance(server.port) as door, _world(server, door) as world:
        cold: dict[float, float] = {}
        warm: dict[float, list[float]] = {NEAR: [], FAR: []}
        for delay in (NEAR, FAR):
            door.delay = delay
            world.hosts.pool.close()
            cold[delay] = _diagnosed(world, runbook)
        connections = server.logins() - before
        for turn in range(2 * rounds):
            door.delay = (NEAR, FAR)[turn % 2]
            warm[door.delay].append(_diagnosed(world, runbook))
        assert server.logins() - before == connections
    apart = 2 * (FAR - NEAR)
    return Journey((min(warm[FAR]) - min(warm[NEAR])) / apart, (cold[FAR] - cold[NEAR]) / apart, connections // 2)


def _diagnosed(world: wiring.Wired, runbook: str) -> float:
    """Seconds until everything is answered that the page asks the host."""
    page = world.pages.by_name[runbook]
    names = [name for name, one in fields_of(page.evidence).items() if one.probe.over == "host"]
    target = Target(kind=TargetKind.HOST, key=NAME)
    began = time.monotonic()
    answers = ask_all(page, names, target, world.readers, world.policy.options_of(page, target))
    took = time.monotonic() - began
    lost = [one for one in answers if one.failure and any(word in one.failure.text for word in OUT_OF_REACH)]
    assert not lost, lost[:3]
    return took


@contextmanager
def _world(server: SshServer, door: Distance) -> Iterator[wiring.Wired]:
    """A probing process' way to the host, through the door; it needs neither ledger nor broker for that."""
    known = Path(server.folder / "known_far")
    kind, key, *_ = (server.folder / "host_key.pub").read_text(encoding="utf-8").split()
    known.write_text(f"[127.0.0.1]:{door.port} {kind} {key}\n", encoding="utf-8")
    host = {"address": "127.0.0.1", "port": door.port, "user": server.user, "key_file": server.key,
            "known_hosts": known, "connect_timeout": 30}  # fmt: skip
    nowhere = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "broker_url": "redis://127.0.0.1:1/0"}
    with wiring.build(Settings(**nowhere, hosts={NAME: host}), role="probe") as world:  # type: ignore[arg-type]
        yield world
