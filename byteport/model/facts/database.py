"""What a database server and its pooler can tell us about connections.

Ages are seconds by the server's own clock, so that nobody else's clock enters a decision. Query text never gets this
far: only its fingerprint, from which every literal and comment has been taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from pydantic import AwareDatetime, Field

from byteport.model.base import Value

IDLE_IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")


class SessionRef(Value):
    """One server session for ever: a pid alone is used again. `query_start` narrows it to one of its statements."""

    pid: int
    backend_start: AwareDatetime
    query_start: AwareDatetime | None = None

    def __str__(self) -> str:
        return f"pid {self.pid} since {self.backend_start:%Y-%m-%d %H:%M:%S%z}"


class Session(Value):
    """A client's session as the server saw it.

    `has_written` means that ending it undoes work (or leaves half an index); `blocks_others` that another session
    waits for a lock that it holds.
    """

    pid: int
    backend_start: AwareDatetime
    query_start: AwareDatetime | None = None
    user: str
    superuser: bool = False
    address: str = ""
    application: str = ""
    state: str
    state_seconds: float
    query_seconds: float | None = None
    transaction_seconds: float | None = None
    wait: str = ""
    has_written: bool = False
    blocks_others: bool = False
    fingerprint: str = ""

    @property
    def ref(self) -> SessionRef:
        return SessionRef(pid=self.pid, backend_start=self.backend_start)

    @property
    def query_ref(self) -> SessionRef:
        """The statement that it runs now, not what it may run next."""
        return SessionRef(pid=self.pid, backend_start=self.backend_start, query_start=self.query_start)

    def spared_by(self, words: Iterable[str]) -> str:
        """The first word that protects it, or nothing. A word is a user, an address or network, or how an
        application_name begins; case does not matter, and an empty word protects nobody."""
        user, application = self.user.lower(), self.application.lower()
        for word in (word.strip().lower() for word in words):
            if word and (word == user or application.startswith(word) or _holds(word, self.address)):
                return word
        return ""

    @property
    def may_lose_work(self) -> bool:
        """It has written, and keeps nobody waiting: to end it would cost more than it frees."""
        return self.has_written and not self.blocks_others


def _holds(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


class DatabaseLimits(Value):
    """How many clients the server takes. `reserved` exists from PostgreSQL 16 on; `server_version` is as 160004."""

    max_connections: int = Field(ge=1)
    superuser_reserved: int = Field(ge=0)
    reserved: int = Field(default=0, ge=0)
    server_version: int = 0

    @property
    def usable(self) -> int:
        """Slots that an ordinary client can get."""
        return max(1, self.max_connections - self.superuser_reserved - self.reserved)


class ApplicationUse(Value):
    """What one application_name holds of the target database."""

    name: str
    connections: int
    idle_in_transaction: int = 0


class Standing(Value):
    """So many of the sessions idle in transaction now were so already `seconds` ago."""

    seconds: int
    sessions: int


class StateBreakdown(Value):
    """Who holds the slots. `clients`, `usable` and `elsewhere` are the server's; all else is the target database's.

    `idle_sessions` are those idle in transaction, the longest first, a hundred at most.
    """

    clients: int
    usable: int = Field(ge=1)
    active: int = 0
    idle: int = 0
    idle_in_transaction: int = 0
    waiting: int = 0
    other: int = 0
    elsewhere: int = 0
    elsewhere_idle_in_transaction: int = 0
    idle_sessions: tuple[Session, ...] = ()
    standing: tuple[Standing, ...] = ()
    applications: tuple[ApplicationUse, ...] = ()

    @property
    def utilization(self) -> float:
        """Client backends as a fraction of the slots that an ordinary client can get; may pass 1 by superusers."""
        return self.clients / self.usable

    @property
    def lock_waiters(self) -> int:
        return self.waiting


class Utilization(Value):
    """The little that a poller asks for."""

    clients: int
    usable: int = Field(ge=1)

    @property
    def fraction(self) -> float:
        return self.clients / self.usable


class WaitEvent(Value):
    """So many sessions wait for this."""

    name: str
    sessions: int


class WaitEvents(Value):
    """What the target database's sessions wait for, and its running statements, the longest first, fifty at most."""

    top: tuple[WaitEvent, ...] = ()
    queries: tuple[Session, ...] = ()


class ReplicaLag(Value):
    """How far the furthest replica is behind; `bytes_behind` is None where the server has no replicas."""

    replicas: int = 0
    bytes_behind: int | None = None
    furthest: str = ""


class Pool(Value):
    """One pair of database and user in the pooler. `own_size`: its size is not the pooler's default."""

    database: str
    user: str
    clients_active: int = 0
    clients_waiting: int = 0
    servers: int = 0
    longest_wait_seconds: float = 0
    size: int
    own_size: bool = False
    serves_target: bool = True


class PgbouncerPools(Value):
    """The pooler in front of the database. `file_opted_in`: its configuration file may be edited by BytePort.

    `max_db_connections` 0 means no limit, as pgbouncer has it.
    """

    pools: tuple[Pool, ...] = ()
    default_pool_size: int
    max_db_connections: int = 0
    file_opted_in: bool = False
    transactions_per_second: float | None = None

    @property
    def clients_waiting(self) -> int:
        return sum(pool.clients_waiting for pool in self.pools if pool.serves_target)

    @property
    def longest_wait_seconds(self) -> float:
        return max((pool.longest_wait_seconds for pool in self.pools if pool.serves_target), default=0.0)

    def slots_added_by(self, default_pool_size: int) -> int:
        """Server connections that the pools could open on top of today's if the default were this."""
        return sum(max(0, default_pool_size - pool.size) for pool in self.pools if not pool.own_size)


class AppPoolConfig(Value):
    """A pool setting found in a workload's environment; a secret value is never among them."""

    workload: str
    library: str
    settings: dict[str, str] = Field(default_factory=dict)
