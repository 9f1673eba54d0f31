"""Whether the journals are whole: the first break of each by name, and one digest over all their ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.rows import Row
from byteport.errors import BadInput
from byteport.records.audit import Anchor, ChainBreak, Wrong

SETTLED = timedelta(minutes=5)  # longer than any transaction of ours: nothing older can still become visible

_BREAKS = """
select b.incident, b.seq, i.id is not null as has_incident, i.event_count as counted, e.seq is not null as is_there,
       e.hash = byteport.event_hash(e.previous, e.incident, e.seq, e.at, e.kind, e.text, e.data) as is_intact,
       e.previous = coalesce(before.hash, '') as follows,
       (select min(seq) from byteport.events n where n.incident = b.incident and n.seq > b.seq) as next
from (select incident, n, byteport.first_broken(incident) as seq
      from unnest(%(incidents)s::text[]) with ordinality as asked (incident, n)) asked
left join byteport.incidents i on i.id = asked.incident
cross join lateral (select asked.incident, case
    when i.id is not null then asked.seq
    when exists (select from byteport.events o where o.incident = asked.incident) then 1 end as seq) b
left join byteport.events e on e.incident = b.incident and e.seq = b.seq
left join byteport.events before on before.incident = b.incident and before.seq = b.seq - 1
where b.seq is not null order by asked.n
"""

# Journals without an incident are told too: of the lines, only the first of each journal is looked at.
_JOURNALS = """
with recursive told as (
    (select incident, 1 as n from byteport.events where incident > %(after)s order by incident limit 1)
    union all
    select (select e.incident from byteport.events e where e.incident > told.incident order by e.incident limit 1),
           n + 1
    from told where told.incident is not null and n < %(most)s
)
select id from ((select id from byteport.incidents where id > %(after)s order by id limit %(most)s)
                union select incident from told where incident is not null) known
order by id limit %(most)s
"""

_ANCHOR = """
select %(as_of)s::timestamptz as as_of, %(since)s::timestamptz as since, count(*)::int as incidents,
       encode(sha256(convert_to(coalesce(
           string_agg(id || ' ' || seq || ' ' || hash, E'\\n' order by id collate "C"), ''), 'UTF8')), 'hex') as digest
from byteport.incidents i
cross join lateral (select seq, hash from byteport.events e
                    where e.incident = i.id and e.at <= %(as_of)s order by seq desc limit 1) last
where i.closed_at is null or i.closed_at > %(since)s
"""


class Auditing(Stored):
    """The part of the ledger that shows whether it was tampered with."""

    def now(self) -> datetime:
        (row,) = self.rows("select byteport.clock() as now")
        found: datetime = row["now"]
        return found

    def verify_chain(self, incident_id: str) -> int | None:
        """The first line that was edited, removed or put in, also at the end; None when the chain is whole."""
        row = self.row("select byteport.first_broken(%s) as seq", [incident_id])
        return None if row is None or row["seq"] is None else int(row["seq"])

    def journals(self, after: str = "", limit: int = 200) -> list[str]:
        return [row["id"] for row in self.rows(_JOURNALS, {"after": after, "most": limit})]

    def chain_breaks(self, incidents: Sequence[str]) -> list[ChainBreak]:
        return [_named(row) for row in self.rows(_BREAKS, {"incidents": list(incidents)})]

    def anchor(self, as_of: datetime | None = None, back: timedelta = timedelta(days=30)) -> Anchor:
        latest = self.now() - SETTLED
        if as_of is not None and as_of > latest:
            raise BadInput("as_of", f"a time at least 5 min ago, so {latest.isoformat()} or earlier")
        moment = as_of or latest
        (row,) = self.rows(_ANCHOR, {"as_of": moment, "since": moment - back})
        return Anchor.model_validate(row)


def _named(row: Row) -> ChainBreak:
    what, detail = _wrong(row)
    return ChainBreak(incident=row["incident"], seq=row["seq"], what=what, detail=detail)


def _wrong(row: Row) -> tuple[Wrong, str]:
    seq, counted, following = row["seq"], row["counted"], row["next"]
    if not row["has_incident"]:
        return "orphaned", "the incident itself is gone, lines of its journal are there"
    if not row["is_there"] and following is not None:
        return "missing", f"{_lines(seq, following - 1, 'is missing', 'are missing')}, line {following} is there"
    if not row["is_there"]:
        return "cut tail", f"{_lines(seq, counted, 'is cut off', 'are cut off')}, the incident counted {counted}"
    if not row["is_intact"]:
        return "edited", f"line {seq} does not match its own hash"
    if not row["follows"]:
        return "edited", f"line {seq} does not carry the hash of line {seq - 1}: one of them was rewritten whole"
    if seq > counted:
        return "inserted", f"line {seq} stands behind the {counted} that the incident counted"
    return "edited", f"line {seq} is not the last line that the incident remembers: it was rewritten whole"


def _lines(first: int, last: int, is_so: str, are_so: str) -> str:
    return f"line {first} {is_so}" if first == last else f"lines {first} to {last} {are_so}"
