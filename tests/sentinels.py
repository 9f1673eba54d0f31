"""A Redis with one replica under three Sentinels: real processes of the wheel's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM

import redis

from byteport.embedded import free_port
from byteport.embedded.children import Child, Command, start_child
from byteport.embedded.redis import program
from tests.servers import LOOPBACK, eventually

MASTER = "budgets"
PASSWORD = "sentinel-test-password"
SENTINEL_CONF = """
port {port}
bind {host}
dir {folder}
sentinel monitor {master} {host} {master_port} 2
sentinel auth-pass {master} {password}
sentinel down-after-milliseconds {master} 1000
sentinel failover-timeout {master} 5000
sentinel parallel-syncs {master} 1
"""


@dataclass(frozen=True)
class Node:
    """One Redis server."""

    port: int
    child: Child

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(LOOPBACK, self.port, password=PASSWORD, socket_timeout=2, decode_responses=True)

    def info(self) -> dict[str, object]:
        """What it says of its replication."""
        with self.client as client:
            return dict(client.info("replication"))


@dataclass(frozen=True)
class Sentinels:
    """`master` and `replica` are named by how they began."""

    master: Node
    replica: Node
    ports: tuple[int, ...]

    @property
    def url(self) -> str:
        """For the settings: every Sentinel, and the name of the master."""
        return f"sentinel://:{PASSWORD}@{','.join(f'{LOOPBACK}:{port}' for port in self.ports)}/{MASTER}"

    def all_caught_up(self) -> None:
        """The replica has everything that the master has."""
        with self.master.client as client:
            client.set("byteport-test:mark", "1")
            assert client.wait(1, 5000) == 1

    def cut_off_replica(self) -> None:
        """The replica's login is refused from now on: what the master writes is lost when the master is."""
        with self.replica.client as client:
            client.config_set("masterauth", "no longer")
        with self.master.client as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        eventually(lambda: self.replica.info()["master_link_status"] == "down", within=5)

    def kill_master(self) -> None:
        """SIGKILL, and wait until the replica is the master."""
        self.master.child.process.send_signal(SIGKILL)
        eventually(lambda: self.replica.info()["role"] == "master", within=30, every=0.1)


@contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """Started, and each knowing all others; stopped and killed when left."""
    binary = str(program())
    with ExitStack() as running:

        def start(name: str, conf: str, *more: str) -> Child:
            home = folder / name
            home.mkdir(parents=True)
            (home / "conf").write_text(conf, encoding="utf-8")
            child = start_child(Command((binary, str(home / "conf"), *more), home, home / "log", dies_with_us=SIGTERM))
            running.callback(child.stop, ((SIGTERM, 5.0),))
            return child

        def node(name: str, *lines: str) -> Node:
            port, home = free_port(), folder / name
            common = ("save ''", "appendonly no", "repl-diskless-sync yes", "repl-diskless-sync-delay 0")
            told = (f"port {port}", f"bind {LOOPBACK}", f"dir {home}", *common, *lines)
            login = (f"requirepass {PASSWORD}", f"masterauth {PASSWORD}", "maxmemory-policy noeviction")
            return Node(port, start(name, "\n".join((*told, *login)) + "\n"))

        master = node("master")
        replica = node("replica", f"replicaof {LOOPBACK} {master.port}")
        eventually(lambda: _says(replica, "master_link_status") == "up", within=15)
        ports = tuple(free_port() for _ in range(3))
        for port in ports:
            filled = SENTINEL_CONF.format(
                port=port, host=LOOPBACK, folder=folder / f"s{port}", master=MASTER, master_port=master.port,
                password=PASSWORD,
            )  # fmt: skip
            start(f"s{port}", filled, "--sentinel")
        for port in ports:
            eventually(lambda port=port: _knows_all(port), within=20, every=0.1)
        yield Sentinels(master, replica, ports)


def _says(node: Node, word: str) -> object:
    try:
        return node.info().get(word)
    except redis.RedisError:
        return None


def _knows_all(port: int) -> bool:
    try:
        with redis.Redis(LOOPBACK, port, socket_timeout=2, decode_responses=True) as client:
            told = client.sentinel_master(MASTER)
    except redis.RedisError:
        return False
    return int(told["num-slaves"]) == 1 and int(told["num-other-sentinels"]) == 2
