"""Rounds that whoever opens them asks itself: a few connections that answer quickly need no message of their own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from byteport.engine.work import GROUP_LEASE
from byteport.grammar.evidence import fields_of
from byteport.grammar.runbook import Runbook
from byteport.records.change import Change
from byteport.records.evidence import GroupLease
from byteport.records.incident import Incident

MOST_GROUPS = 4  # more connections than that are asked by the whole fleet


def taking(change: Change, page: Runbook) -> Change:
    """Its groups taken by who saves it; as it is where they are slow, many, or of another page."""
    look = change.look
    if look is None or look.lease_seconds > GROUP_LEASE or len(look.groups) > MOST_GROUPS:
        return change
    if not {name for names in look.groups.values() for name in names} <= fields_of(page.evidence).keys():
        return change
    return change.with_(taken={name: f"here.{secrets.token_hex(16)}" for name in look.groups})


def leases(change: Change, saved: Incident, now: datetime) -> Sequence[GroupLease]:
    """What was taken with the change, as the ledger has it now. `now`: not later than when it was taken."""
    look = change.look
    if look is None or not change.taken or saved.pending == 0:
        return ()
    return [
        GroupLease(
            incident=saved.id, round=saved.round, group=name, token=change.taken[name], fields=tuple(fields), now=now
        )
        for name, fields in look.groups.items()
    ]
