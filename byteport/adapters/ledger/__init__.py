"""The ledger on PostgreSQL: the truth about every incident, on PostgreSQL's clock."""

from byteport.adapters.ledger.ledger import PostgresLedger
from byteport.adapters.ledger.migrations import migrate

__all__ = ["PostgresLedger", "migrate"]
