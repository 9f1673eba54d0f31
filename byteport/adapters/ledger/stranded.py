"""Incidents whose runbook is installed nowhere any more: no worker can move them, so they are left to people here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from byteport.adapters.ledger.base import Stored, append, lock_incident, now_of
from byteport.adapters.ledger.connection import Cursor
from byteport.adapters.ledger.moves import is_worked_on
from byteport.adapters.ledger.outbox import post
from byteport.adapters.ledger.rows import Row, clean, json
from byteport.records.delivery import Message
from byteport.records.event import Event
from byteport.records.outcome import Failed
from byteport.stores_abandoned import Stranded

ENDING = ("cancel", "close")
LOOK_AGAIN = timedelta(minutes=10)  # meanwhile the sweeper's list is free for others; a runbook that returns goes on

# Those that are told already come last: what people do not know of must not wait behind them.
_STRANDED = """
select i.id as incident, i.runbook, i.target_kind || ':' || i.target_key as target, i.severity,
       i.mode = 'dry_run' as dry_run,
       array(select 'undo of ' || o.move || ' on ' || n.subject from byteport.obligations o
             join byteport.intents n on n.key = o.intent
             where o.incident = i.id and o.state = 'owed' and o.begun_at is not null order by o.step desc)
       || array(select n.move || ' on ' || n.subject || ', begun and not settled' from byteport.intents n
                where n.incident = i.id and n.outcome is null and n.attempts > 0 order by n.opened_at) as "left"
from byteport.incidents i, (select byteport.clock() as now) t
where phase <> 'closed' and runbook <> all(%(runbooks)s)
  and greatest(due_at, claimed_at, lease_until) <= t.now - %(after)s::interval
  and (driver = '' or driver_until < t.now)
order by coalesce((state ->> 'stranded')::boolean, false), due_at limit 100
"""

# What is being closed keeps its phase and its ending; only its story cannot be told.
_LEAVE = """
update byteport.incidents set phase = case phase when 'write_up' then phase else 'escalate' end,
    reason = concat_ws('; ', nullif(reason, ''), %(reason)s::text), due_at = %(again)s,
    escalated_at = coalesce(escalated_at, %(now)s),
    version = version + 1, pending = 0, lease_token = null, lease_until = null, woken_at = null,
    state = state || jsonb_build_object('stranded', true, 'attempt', 0, 'look_until', null, 'severity_told', severity)
where id = %(id)s
"""

_CLOSE = """
update byteport.incidents set phase = 'closed', closed_at = %(now)s, version = version + 1, pending = 0, command = '',
    ending = case command when 'cancel' then 'cancelled' when 'close' then 'closed' else ending end,
    reason = case when command in ('cancel', 'close') then command || ' by ' || command_by || ': ' || command_why
             else reason end,
    lease_token = null, lease_until = null, woken_at = null
where id = %(id)s returning reason
"""

_LEFT = """
select exists (select from byteport.intents where incident = %(id)s and outcome is null)
    or exists (select from byteport.obligations where incident = %(id)s and state = 'owed' and begun_at is not null)
    as something
"""


class StrandedRows(Stored):
    """What `tend` tells of."""

    def stranded(self, runbooks: Sequence[str], after: timedelta = timedelta(seconds=60)) -> list[Stranded]:
        found = self.rows(_STRANDED, {"runbooks": list(runbooks), "after": after})
        return [Stranded.model_validate(row) for row in found]

    def leave_to_people(self, incident_id: str, reason: str, messages: Sequence[Message]) -> None:
        def leave(cursor: Cursor) -> None:
            row, now = lock_incident(cursor, incident_id), now_of(cursor)
            if row["phase"] == "closed" or is_worked_on(row, now):
                return
            asked = row["command"] in ENDING
            if not asked and row["phase"] == "write_up" and not _is_left(cursor, row):
                _close(cursor, row, now)
                return
            _tell(cursor, row, reason, messages, now)
            if asked:
                _close(cursor, row, now)

        self.run(leave)


def _is_left(cursor: Cursor, row: Row) -> bool:
    cursor.execute(_LEFT, {"id": row["id"]})
    return bool(cursor.fetchall()[0]["something"])


def _tell(cursor: Cursor, row: Row, reason: str, messages: Sequence[Message], now: datetime) -> None:
    """Once; afterwards it is only looked at again, and a runbook that has returned meanwhile goes on with it."""
    again = {"id": row["id"], "now": now, "again": now + LOOK_AGAIN, "reason": clean(reason)}
    if row["state"].get("stranded"):
        cursor.execute("update byteport.incidents set due_at = %(again)s where id = %(id)s", again)
        return
    post(cursor, row["id"], messages)
    cursor.execute(_LEAVE, again)
    told = {"channels": [message.channel for message in messages]}
    append(cursor, row["id"], [Event(kind="escalation", text=reason, data=told)])


def _close(cursor: Cursor, row: Row, now: datetime) -> None:
    """A person has the last word: nothing that is left can be settled by anybody else."""
    which = {"id": row["id"], "now": now}
    unknown = json(Failed(reason="its runbook is not installed any more", unknown=True))
    cursor.execute(
        "update byteport.intents set outcome = %s, settled_at = %s where incident = %s and outcome is null",
        [unknown, now, row["id"]],
    )
    cursor.execute(
        """
        update byteport.obligations set settled_at = %(now)s, why = 'its runbook is not installed any more',
            state = case when begun_at is null then 'dropped' else 'escalated' end
        where incident = %(id)s and state = 'owed'
        """,
        which,
    )
    cursor.execute("delete from byteport.locks where incident = %(id)s", which)
    cursor.execute(_CLOSE, which)
    append(cursor, row["id"], [Event(kind="phase", text=cursor.fetchall()[0]["reason"], data={"to": "closed"})])
