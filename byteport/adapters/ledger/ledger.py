"""The ledger: one class made of its parts."""

from __future__ import annotations

from datetime import timedelta

from byteport.adapters.ledger.audit import Auditing
from byteport.adapters.ledger.connection import PATIENCE, Cursor, Database
from byteport.adapters.ledger.evidence import EvidenceRounds
from byteport.adapters.ledger.figures import CountingLedger
from byteport.adapters.ledger.groups import Groups
from byteport.adapters.ledger.guards import Guarding
from byteport.adapters.ledger.intents import Intents
from byteport.adapters.ledger.locks import Locks
from byteport.adapters.ledger.memory import MemoryLooks
from byteport.adapters.ledger.migrations import check_schema
from byteport.adapters.ledger.moves import Moves
from byteport.adapters.ledger.orders import Orders
from byteport.adapters.ledger.outbox import OutboxRows
from byteport.adapters.ledger.owed_looks import OwedLooks
from byteport.adapters.ledger.past import Past
from byteport.adapters.ledger.pollers import PollerRows
from byteport.adapters.ledger.reading import Reading
from byteport.adapters.ledger.recount import Recount
from byteport.adapters.ledger.saving import Saving
from byteport.adapters.ledger.signals import Signals
from byteport.adapters.ledger.silences import Silences
from byteport.adapters.ledger.storms import Storms
from byteport.adapters.ledger.stranded import StrandedRows
from byteport.adapters.ledger.waking import Waking
from byteport.errors import Permanent
from byteport.stores import Ledger


class PostgresLedger(
    Signals,
    Groups,
    Moves,
    Waking,
    Saving,
    EvidenceRounds,
    Intents,
    Recount,
    Locks,
    OutboxRows,
    OwedLooks,
    Past,
    MemoryLooks,
    PollerRows,
    Reading,
    Orders,
    Silences,
    Storms,
    CountingLedger,
    StrandedRows,
    Auditing,
    Guarding,
):
    """The `Ledger` port on PostgreSQL. Connects when first asked, in each process anew, and then sees to it that the
    schema is this release's (Permanent, naming `byteport migrate`)."""

    def __init__(
        self, url: str, *, most_connections: int = 4, storm_threshold: int = 20, patience: timedelta = PATIENCE
    ) -> None:
        """`patience`: how long to wait for a connection before it counts as out of reach."""
        database = Database(url, most=most_connections, check=check_schema, patience=patience)
        super().__init__(database, storm_threshold=storm_threshold)

    def check(self) -> None:
        """Reach it and look at its schema; raises Unavailable or Permanent."""
        self.row("select byteport.clock()")

    def check_durable(self) -> None:
        """Raises Permanent where a commit may be lost: nothing is done live on such a ledger."""

        def setting(cursor: Cursor, name: str) -> str:
            cursor.execute("select current_setting(%s) as value", [name])
            return str(cursor.fetchall()[0]["value"])

        commit = self.run(lambda cursor: setting(cursor, "synchronous_commit"))
        if commit == "off":
            raise Permanent("the ledger may lose what it has committed: set synchronous_commit to on, it is off")

    def close(self) -> None:
        """Let go of this process's connections."""
        self.database.close()


_: type[Ledger] = PostgresLedger
