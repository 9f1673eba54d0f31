"""Real servers for tests: started once, handed out clean.

The fixtures that give them out stand in conftest.py. Nothing here is skipped for want of a program: a missing
one fails the test and names the package that brings it.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from types import TracebackType
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from byteport.embedded import EmbeddedPostgres, EmbeddedRedis, RunningPostgres, RunningRedis, free_port
from byteport.embedded.accounts import lent_account
from byteport.embedded.children import Child, Command, start_child

LOOPBACK = "127.0.0.1"
T = TypeVar("T")


def eventually(ask: Callable[[], T], within: float = 5.0, every: float = 0.02) -> T:
    """The first truthy answer; an AssertionError with the last answer or error when none came within the seconds.

    An AssertionError or psycopg/OS error of the question counts as "not yet".
    """
    deadline = time.monotonic() + within
    last: object = None
    while True:
        try:
            answer = ask()
            if answer:
                return answer
            last = answer
        except (AssertionError, OSError, psycopg.Error) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; the last answer was {last!r}")
        time.sleep(every)


def program(name: str, package: str) -> str:
    """The path of an installed program; without it the test fails and says what to install."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if found is None:
        pytest.fail(f"{name} is not installed, and this test needs it: apt-get install {package}", pytrace=False)
    return found


@contextmanager
def roomy_folder() -> Iterator[Path]:
    """A temporary folder that a lent account may enter too (pytest's own are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="byteport-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Databases:
    """Hands out fresh databases of one server, owned by its ordinary user."""

    server: RunningPostgres

    @contextmanager
    def fresh(self, template: str = "template1") -> Iterator[str]:
        """The name of a new database, dropped afterwards with whoever is still connected to it."""
        name = f"t_{time.monotonic_ns()}"
        self.run(sql.SQL("CREATE DATABASE {} OWNER byteport TEMPLATE {}"), name, template)
        try:
            yield name
        finally:
            self.run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)"), name)

    def run(self, statement: sql.SQL, *names: str) -> None:
        """Run one statement as the superuser, its names quoted."""
        with psycopg.connect(self.server.url_of("postgres", user="postgres"), autocommit=True) as connection:
            connection.execute(statement.format(*(sql.Identifier(name) for name in names)))


@dataclass
class Patient:
    """A small PostgreSQL to make ill. It has the database `app`, owned by the ordinary user `byteport`."""

    spec: EmbeddedPostgres
    server: RunningPostgres

    @property
    def port(self) -> int:
        """Where it listens on the loopback address."""
        return self.server.port

    @property
    def url(self) -> str:
        """The database `app` for the ordinary user `byteport`."""
        return self.server.url_of("app")

    @property
    def superuser_url(self) -> str:
        """The database `app` for the superuser `postgres`."""
        return self.server.url_of("app", user="postgres")

    def url_for(self, role: str, password: str, database: str = "app") -> str:
        """The URL for a role that the test made itself."""
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def run(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Run one statement as the superuser in `app` on a connection of its own; rows as dicts."""
        with self._superuser("app") as connection:
            cursor = connection.execute(statement, parameters or None)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def role(self, name: str, *, member_of: tuple[str, ...] = (), superuser: bool = False) -> str:
        """Make a login role and return its URL for `app`; its password is its name."""
        kind = sql.SQL("SUPERUSER" if superuser else "NOSUPERUSER")
        with self._superuser("app") as connection:
            who = sql.Identifier(name)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(who, kind, sql.Literal(name)))
            for group in member_of:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), who))
        return self.url_for(name, name)

    def client_backends(self) -> int:
        """How many client sessions there are now, without the one that asks."""
        rows = self.run(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(rows[0]["n"])

    def stop(self) -> None:
        """Take it down; `restart` brings it back on the same port with its data."""
        self.server.stop()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port."""
        self.server.stop()
        fixed = EmbeddedPostgres(self.spec.folder, self.server.port, self.spec.settings, durable=False)
        self.server = fixed.start()

    def clean(self) -> None:
        """End every session and remove what a test made: databases, roles, altered settings, a stopped server."""
        try:
            self._clean()
        except psycopg.OperationalError:
            self.restart()
            self._clean()

    def end_sessions(self) -> None:
        """End every client session; returns when they are gone."""
        with self._superuser("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def _clean(self) -> None:
        self.end_sessions()
        with self._superuser("postgres") as connection:
            connection.execute("ALTER SYSTEM RESET ALL")
            connection.execute("SELECT pg_reload_conf()")
            for prepared in _names(connection, "SELECT gid FROM pg_prepared_xacts"):
                connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(prepared)))
            for name in _names(connection, "SELECT datname FROM pg_database WHERE NOT datistemplate"):
                if name not in ("postgres", "byteport"):
                    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            for name in _names(
                connection, r"SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$|byteport$)'"
            ):
                connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
            for group in _names(
                connection, "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'byteport'::regrole"
            ):
                connection.execute(sql.SQL("REVOKE {} FROM byteport").format(sql.Identifier(group)))
            connection.execute("ALTER ROLE byteport RESET ALL")
            connection.execute("CREATE DATABASE app OWNER byteport")

    def _superuser(self, database: str) -> psycopg.Connection[dict[str, Any]]:
        url = self.server.url_of(database, user="postgres")
        return psycopg.connect(url, autocommit=True, row_factory=dict_row, application_name="test harness")


def _names(connection: psycopg.Connection[dict[str, Any]], question: str) -> list[str]:
    return [str(next(iter(row.values()))) for row in connection.execute(question)]  # type: ignore[call-overload]


@dataclass
class Patients:
    """The patients of one test session, kept by their settings, since starting one costs half a second."""

    folder: Path
    idle: dict[tuple[tuple[str, str], ...], list[Patient]] = field(default_factory=dict)
    started: list[Patient] = field(default_factory=list)

    def lend(self, settings: Mapping[str, str | int]) -> Patient:
        """A clean patient with these settings (PostgreSQL's names)."""
        waiting = self.idle.setdefault(_key(settings), [])
        patient = waiting.pop() if waiting else self._new(settings)
        patient.clean()
        return patient

    def give_back(self, patient: Patient) -> None:
        """Its sessions end now, so that nothing goes on using it; it is cleaned when it is lent again."""
        with suppress(psycopg.OperationalError):
            patient.end_sessions()
        self.idle[_key(patient.spec.settings)].append(patient)

    def stop(self) -> None:
        """Take all of them down."""
        for patient in self.started:
            patient.stop()

    def _new(self, settings: Mapping[str, str | int]) -> Patient:
        spec = EmbeddedPostgres(self.folder / f"patient-{len(self.started)}", settings=dict(settings), durable=False)
        patient = Patient(spec, spec.start())
        self.started.append(patient)
        return patient


def _key(settings: Mapping[str, str | int]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in settings.items()))


def clean_redis(server: RunningRedis) -> None:
    """Forget everything, and take back what a test may have configured."""
    import redis  # noqa: PLC0415  (tests of other parts need no Redis client)

    with redis.Redis.from_url(server.url) as client:
        client.execute_command("CLIENT", "UNPAUSE")
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()
        client.script_flush()


@dataclass
class OwnRedis:
    """A Redis of the test's own, to be taken down and brought back on the same port."""

    spec: EmbeddedRedis
    server: RunningRedis

    @property
    def url(self) -> str:
        """Database 0."""
        return self.server.url

    def stop(self) -> None:
        """Take it down."""
        self.server.stop()

    def restart(self, *, forgetting: bool = False) -> None:
        """Start it on the same port with the same password; with its data, or having forgotten all of it."""
        self.server.stop()
        if forgetting:
            shutil.rmtree(self.spec.folder / "data")
        spec = EmbeddedRedis(self.spec.folder, self.server.port, self.spec.settings, self.spec.durable)
        self.server = spec.start()


@dataclass
class Pooler:
    """A pgbouncer in front of a patient. Everybody's password is their name; the admin is `pgb_admin`."""

    ini: Path
    log: Path
    port: int
    database: str
    user: str
    child: Child

    @property
    def url(self) -> str:
        """The pooled database for the ordinary user (connect with prepare_threshold=None)."""
        return self._url(self.user, self.database)

    @property
    def admin_url(self) -> str:
        """The console with the right to RELOAD, PAUSE and so on."""
        return self._url("pgb_admin", "pgbouncer")

    @property
    def stats_url(self) -> str:
        """The console with the right to SHOW only."""
        return self._url("pgb_stats", "pgbouncer")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.child.pid

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of SHOW POOLS, SHOW CLIENTS and so on."""
        with psycopg.connect(
            self.admin_url, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor
        ) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return list(cursor.execute(f"SHOW {what}").fetchall())  # type: ignore[arg-type]

    def reload(self) -> None:
        """Read the ini again (SIGHUP)."""
        self.child.process.send_signal(SIGHUP)

    def stop(self) -> None:
        """Take it down at once."""
        self.child.stop(((SIGINT, 0.5), (SIGTERM, 5.0)))

    def _url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{user}@{LOOPBACK}:{self.port}/{database}"


def start_pooler(folder: Path, patient: Patient, settings: Mapping[str, str | int], user: str = "pooled") -> Pooler:
    """A pgbouncer for the patient's database `app`, logging in there as a role of its own."""
    binary = program("pgbouncer", "pgbouncer")
    patient.role(user, member_of=("byteport",))
    folder.mkdir(parents=True)
    port, ini, users = free_port(), folder / "pgbouncer.ini", folder / "users"
    names = (user, "pgb_admin", "pgb_stats", "byteport")
    users.write_text("".join(f'"{name}" "{name}"\n' for name in names), encoding="utf-8")
    pool = {key: settings[key] for key in ("pool_size", "min_pool_size", "reserve_pool") if key in settings}
    rest = {key: value for key, value in settings.items() if key not in pool}
    options = {
        "listen_addr": LOOPBACK, "listen_port": port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
        "auth_file": users, "admin_users": "pgb_admin", "stats_users": "pgb_stats", "pool_mode": "transaction",
        "max_client_conn": 50, "default_pool_size": 2, "ignore_startup_parameters": "extra_float_digits,options",
        **rest,
    }  # fmt: skip
    target = " ".join(
        f"{key}={value}" for key, value in {"host": LOOPBACK, "port": patient.port, "dbname": "app", **pool}.items()
    )
    lines = ["[databases]", f"app = {target}", "[pgbouncer]", *(f"{key} = {value}" for key, value in options.items())]
    ini.write_text("\n".join(lines) + "\n", encoding="utf-8")
    account = lent_account()
    log = folder / "log"
    if account:
        for path in (folder, ini, users):
            account.take(path)
    child = start_child(Command((binary, str(ini)), folder, log, account, dies_with_us=SIGTERM))
    pooler = Pooler(ini, log, port, "app", user, child)
    eventually(lambda: pooler.show("VERSION"), within=10)
    return pooler


class TcpProxy:
    """A door in front of a server that can be cut (refuse, and drop what is open), stalled (accept, pass nothing on)
    and restored."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._flow = threading.Event()
        self._flow.set()
        self._cut = False
        self._over = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._door = socket.create_server((LOOPBACK, 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name=f"proxy {self.port}").start()

    def cut(self) -> None:
        """From now on every connection is dropped, the open ones at once."""
        self._cut = True
        self._drop_all()

    def stall(self) -> None:
        """From now on nothing passes, in either direction; connections stay open and new ones are accepted."""
        self._flow.clear()

    def restore(self) -> None:
        """Let everything pass again."""
        self._cut = False
        self._flow.set()

    def through(self, url: str) -> str:
        """The same URL, by way of this door."""
        head, _, tail = url.rpartition(f":{self.target_port}")
        return f"{head}:{self.port}{tail}"

    def close(self) -> None:
        """Shut the door and drop everybody."""
        self._over = True
        self._flow.set()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._drop_all()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            if self._cut:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((LOOPBACK, self.target_port), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flow.wait()
                if self._cut:
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _drop_all(self) -> None:
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
