"""Standing orders of people, and everything that the gate asks before an attempt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any

from byteport.adapters.ledger.base import Stored
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.rows import Row, clean, json
from byteport.adapters.ledger.silences import silence_of
from byteport.model.signal import Mode
from byteport.model.target import Target
from byteport.records.standing import NewVeto, PauseRow, Promotion, Standing

# A silence names labels of the signal, or runbook, target, kind, signal and source; all that it names must agree.
_STANDING = """
with t as materialized (select byteport.clock() as now), facts as (
    select coalesce((select coalesce(signal -> 'labels', '{}') || jsonb_build_object(
               'signal', signal -> 'name', 'source', signal -> 'source')
               from byteport.incidents where id = %(incident)s), '{}') || %(facts)s::jsonb as known
)
select t.now,
    (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'runbook', runbook, 'why', why, 'who', who, 'since', since)
                               order by id), '[]')
     from byteport.pauses where ended_at is null and runbook in ('', %(runbook)s)) as pauses,
    (select why || ' (' || who || ')' from byteport.silences, facts
     where until > t.now and since <= t.now and matchers is null and match <@ known
     order by until desc limit 1) as silence,
    (select max(until) from byteport.silences, facts
     where until > t.now and since <= t.now and matchers is null and match <@ known) as silenced_until,
    (select jsonb_agg(jsonb_build_object('matchers', matchers, 'why', why || ' (' || who || ')', 'until', until)
                      order by until desc)
     from byteport.silences where until > t.now and since <= t.now and matchers is not null) as matched,
    (select known from facts) as known,
    (select min(name) from byteport.pollers where starts_with(name, 'silences of ') and t.now - since > 3 * period)
        as silences_unread,
    (select jsonb_build_object('until', until, 'why', why, 'incident', incident) from byteport.vetoes
     where runbook = %(runbook)s and target_key = %(target)s and until > t.now order by until desc limit 1) as veto,
    (select array_agg(key) from byteport.lasting_acts(%(runbook)s, %(target)s) as key) as lasting,
    (select array_agg(distinct key) from byteport.processes, unnest(keys) as key
     where seen_at > t.now - interval '24 hours') as self_keys,
    (select array_agg(distinct configuration) from byteport.processes where seen_at > t.now - interval '10 minutes')
        as configurations,
    (select array_agg(key) from byteport.locks where incident = %(incident)s and until >= t.now) as held,
    (select jsonb_build_object('runbook', runbook, 'mode', mode, 'live_since', live_since, 'who', who, 'why', why)
     from byteport.promotions where runbook = %(runbook)s order by id desc limit 1) as promotion,
    byteport.storm_until(%(runbook)s, %(storm)s, t.now) as storm_until,
    (select t.now - max(byteport.acted_last(i)) from byteport.incidents i
     where i.runbook = %(runbook)s and i.target_key = %(target)s and i.id <> %(incident)s and i.acted_at is not null)
        as acted_ago
from t
"""

PROMOTIONS = """
select distinct on (runbook) runbook, mode, live_since, who, why from byteport.promotions order by runbook, id desc
"""


_KNOWN = """
select count(*)::int as known from byteport.targets
where kind = %s and last_seen > byteport.clock() - interval '24 hours'
"""
SMALL = 500  # of so many or fewer a count costs nothing
RECOUNTED_AFTER = 10.0  # seconds


class Orders(Stored):
    """Pauses, silences, vetoes, promotions, and who BytePort itself is."""

    def standing(self, incident_id: str, runbook: str, target: Target) -> Standing:
        facts = {"runbook": runbook, "target": target.key, "kind": str(target.kind)}
        (row,) = self.rows(
            _STANDING,
            {
                "incident": incident_id,
                "runbook": runbook,
                "target": target.key,
                "facts": json(facts),
                "storm": self.storm_threshold,
            },
        )
        return _standing(row, runbook, self.storm_threshold, self.known_targets(str(target.kind)))

    def known_targets(self, kind: str) -> int:
        """Targets of this kind that were seen within 24 h. A large inventory is counted every few seconds: a tenth of
        it, which is what is asked for, does not change faster."""
        counted, at = self.inventory.get(kind, (0, -math.inf))
        if counted < SMALL or monotonic() - at > RECOUNTED_AFTER:
            (row,) = self.rows(_KNOWN, [kind])
            counted = row["known"]
            self.inventory[kind] = (counted, monotonic())
        return counted

    def pause(self, runbook: str, why: str, who: str) -> PauseRow:
        """Committed when this returns: no attempt begins any more."""
        (row,) = self.rows(
            """
            insert into byteport.pauses (runbook, why, who, since) values (%s, %s, %s, byteport.clock())
            returning id, runbook, why, who, since
            """,
            [clean(runbook), clean(why), clean(who)],
        )
        return PauseRow.model_validate(row)

    def resume(self, runbook: str, who: str) -> int:
        """Of exactly this runbook; an empty one ends what paused everything."""
        ended = self.rows(
            """
            update byteport.pauses set ended_at = byteport.clock(), ended_by = %s
            where runbook = %s and ended_at is null returning id
            """,
            [clean(who), clean(runbook)],
        )
        return len(ended)

    def pauses(self) -> list[PauseRow]:
        found = self.rows("select id, runbook, why, who, since from byteport.pauses where ended_at is null order by id")
        return [PauseRow.model_validate(row) for row in found]

    def veto(self, new: NewVeto) -> None:
        """The same act is undone once, whoever sees it first."""
        self.run(
            lambda cursor: cursor.execute(
                """
                insert into byteport.vetoes (runbook, target_key, why, since, until, intent, incident)
                select %s, %s, %s, t.now, t.now + %s::interval, %s, %s from (select byteport.clock() as now) t
                on conflict (intent) do nothing
                """,
                [
                    clean(new.runbook),
                    clean(new.target_key),
                    clean(new.why),
                    new.length,
                    new.intent,
                    new.incident,
                ],
            )
        )

    def promote(self, runbook: str, mode: Mode, who: str, why: str) -> Promotion:
        """Live again after a time in another mode is newly live."""
        (row,) = self.rows(
            """
            insert into byteport.promotions (runbook, mode, live_since, who, why, at)
            select %(runbook)s, %(mode)s, case when %(mode)s = 'live' then coalesce(
                (select case when mode = 'live' then live_since end from byteport.promotions
                 where runbook = %(runbook)s order by id desc limit 1), t.now) end, %(who)s, %(why)s, t.now
            from (select byteport.clock() as now) t
            returning runbook, mode, live_since, who, why
            """,
            {"runbook": clean(runbook), "mode": str(mode), "who": clean(who), "why": clean(why)},
        )
        return Promotion.model_validate(row)

    def promotions(self) -> list[Promotion]:
        found = self.rows(PROMOTIONS)
        return [Promotion.model_validate(row) for row in found]

    def register_self(self, process: str, keys: Sequence[str], configuration: str) -> None:
        self.rows(
            """
            insert into byteport.processes (process, keys, configuration, seen_at) values (%s, %s, %s, byteport.clock())
            on conflict (process) do update
            set keys = excluded.keys, configuration = excluded.configuration, seen_at = excluded.seen_at
            returning process
            """,
            [clean(process), [clean(key) for key in keys], clean(configuration)],
        )

    def living_roles(self, configuration: str) -> frozenset[str]:
        found = self.rows(
            """
            select distinct substring(process from '[^:]+$') as role from byteport.processes
            where configuration = %s and seen_at > byteport.clock() - interval '45 seconds'
            """,
            [clean(configuration)],
        )
        return frozenset(row["role"] for row in found)

    def end_storm(self, runbook: str, who: str) -> None:
        """A person's word that it is over; what was opened until now counts for no storm any more."""

        def end(cursor: Cursor) -> None:
            cursor.execute(
                "insert into byteport.storms_ended (runbook, who, at) values (%s, %s, byteport.clock())",
                [clean(runbook), clean(who)],
            )

        self.run(end)


def _standing(row: Row, runbook: str, threshold: int, known_targets: int) -> Standing:
    until: datetime | None = row["storm_until"]
    stormy = until is not None and until > row["now"]
    values: dict[str, Any] = {
        "now": row["now"],
        "pauses": row["pauses"],
        **silence_of(row),
        "veto": row["veto"],
        "lasting": row["lasting"] or (),
        "self_keys": row["self_keys"] or (),
        "held": row["held"] or (),
        "promotion": row["promotion"],
        "storm": f"more than {threshold} incidents of {runbook} opened within 5 min" if stormy else "",
        "storm_until": until if stormy else None,
        "known_targets": known_targets,
        "acted_ago": row["acted_ago"],
        "configurations": sorted(row["configurations"] or ()),
    }
    return Standing.model_validate(values)
