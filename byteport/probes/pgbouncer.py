"""Looks at the pooler in front of a database."""

from __future__ import annotations

from byteport.grammar.evidence import probe
from byteport.model.facts.database import PgbouncerPools
from byteport.model.target import Target
from byteport.ports import Readers


@probe(over="pooler")
def pgbouncer_pools(target: Target, readers: Readers) -> PgbouncerPools | None:
    """Waiting clients and the use of the pools; None where no pooler is configured."""
    return readers.pooler.pools(target.key)
