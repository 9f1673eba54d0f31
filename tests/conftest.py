"""Fixtures that hand out real servers. Each xdist worker has its own, so tests never share one at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from byteport.embedded import EmbeddedPostgres, EmbeddedRedis, RunningPostgres, RunningRedis
from byteport.embedded import free_port as a_free_port
from tests.patients import Patient, Patients
from tests.pooler import Pooler, start_pooler
from tests.proxy import TcpProxy
from tests.servers import (
    Databases,
    OwnRedis,
    clean_redis,
    roomy_folder,
)
from tests.servers import eventually as poll

# Servers and neighbours make single examples slow at times; how long one took says nothing about what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Where this session's servers keep their data; removed at the end."""
    with roomy_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[RunningPostgres]:
    """The session's PostgreSQL for ledgers: nothing synced, 200 connections."""
    with EmbeddedPostgres(
        server_folder / "postgres", settings={"max_connections": 200}, durable=False
    ).start() as server:
        yield server


@pytest.fixture
def ledger_url(postgres_server: RunningPostgres) -> Iterator[str]:
    """An empty database of its own for this test, for its owner `byteport`, who is no superuser."""
    with Databases(postgres_server).fresh() as name:
        yield postgres_server.url_of(name)


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[RunningRedis]:
    """The session's Redis; tests take `redis_url`."""
    with EmbeddedRedis(server_folder / "redis", durable=False).start() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RunningRedis) -> str:
    """An empty Redis. Never take it down or wait on it: `own_redis` is for that."""
    clean_redis(redis_server)
    return redis_server.url


@pytest.fixture
def own_redis(server_folder: Path) -> Iterator[Callable[..., OwnRedis]]:
    """Starts a Redis that the test may stop and restart: own_redis(durable=False, **settings with _ for -)."""
    with ExitStack() as running:

        def start(*, durable: bool = False, **settings: str | int) -> OwnRedis:
            folder = running.enter_context(roomy_folder())
            named = {name.replace("_", "-"): value for name, value in settings.items()}
            spec = EmbeddedRedis(folder / "redis", settings=named, durable=durable)
            own = OwnRedis(spec, spec.start())
            running.callback(own.stop)
            return own

        yield start


@pytest.fixture(scope="session")
def patients(server_folder: Path) -> Iterator[Patients]:
    """The session's patients; tests take `patient`."""
    ward = Patients(server_folder)
    yield ward
    ward.stop()


@pytest.fixture
def patient(patients: Patients) -> Iterator[Callable[..., Patient]]:
    """Lends a clean small PostgreSQL: patient(max_connections=20, superuser_reserved_connections=3, …)."""
    lent: list[Patient] = []

    def lend(**settings: str | int) -> Patient:
        lent.append(patients.lend({"max_connections": 20, **settings}))
        return lent[-1]

    yield lend
    for one in lent:
        patients.give_back(one)


@pytest.fixture
def pgbouncer(patient: Callable[..., Patient]) -> Iterator[Callable[..., Pooler]]:
    """Starts a pgbouncer before a patient: pgbouncer(a_patient, pool_size=2, pool_mode="transaction", …)."""
    with ExitStack() as running:

        def start(before: Patient, *, user: str = "pooled", **settings: str | int) -> Pooler:
            folder = running.enter_context(roomy_folder())
            pooler = start_pooler(folder / "pgbouncer", before, settings, user)
            running.callback(pooler.stop)
            return pooler

        yield start


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[[int], TcpProxy]]:
    """Opens a door before a port that can be cut, stalled and restored: tcp_proxy(port).through(url)."""
    with ExitStack() as running:

        def open_door(target_port: int) -> TcpProxy:
            return running.enter_context(TcpProxy(target_port))

        yield open_door


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    return a_free_port()


@pytest.fixture
def eventually() -> Callable[..., object]:
    """Polls until the answer is truthy: eventually(ask, within=5.0, every=0.02)."""
    return poll
