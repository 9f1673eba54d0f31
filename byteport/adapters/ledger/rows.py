"""Between rows and values: what goes into jsonb, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError

from byteport.errors import BadRunbook
from byteport.records.delivery import Delivery
from byteport.records.incident import Incident
from byteport.records.intent import Intent, Obligation

Row = Mapping[str, Any]

OF_INCIDENT = (
    "id",
    "runbook",
    "page",
    "phase",
    "mode",
    "due_at",
    "opened_at",
    "round",
    "pending",
    "version",
    "driver",
    "parent",
    "ending",
    "reason",
    "signals_seen",
    "last_signal_at",
    "clear_since",
    "acted_at",
    "escalated_at",
    "closed_at",
    "command",
    "command_by",
    "command_why",
)


def clean(text: str) -> str:
    """Text that PostgreSQL can keep: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def plain(value: Any) -> Any:
    """JSON that PostgreSQL can keep. A number that JSON has no word for becomes the text that pydantic reads back."""
    match value:
        case str():
            return clean(value)
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case BaseModel():
            return plain(value.model_dump(mode="json"))
        case Mapping():
            return {clean(str(key)): plain(part) for key, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(part) for part in value]
        case None | bool() | int() | float():
            return value
        case _:
            return clean(str(value))


def json(value: Any) -> Jsonb:
    """A bind parameter for jsonb."""
    return Jsonb(plain(value))


def maybe(value: Any) -> Jsonb | None:
    """The same, with SQL's null for None."""
    return None if value is None else json(value)


def state_of(incident: Incident) -> Jsonb:
    """What a save writes beside the columns; the signal stands in a column of its own and stays as it was."""
    return json(incident.model_dump(mode="json", exclude={"signal"}))


def incident_of(row: Row) -> Incident:
    """The stored state with the columns laid over it; the severity is the highest that any signal had.

    Raises pydantic.ValidationError or BadRunbook where this process cannot read the stored plan.
    """
    kept = {name: part for name, part in row["state"].items() if name in Incident.model_fields}
    columns = {name: row[name] for name in OF_INCIDENT}
    signal = {**row["signal"], "severity": row["severity"]}
    return Incident.model_validate({**kept, **columns, "signal": signal, "claimed_in_vain": row["claims_in_vain"]})


def read_incident(row: Row) -> Incident:
    """The same, and where this process cannot read the stored plan: the incident without it, the reason saying why,
    and marked as claimed in vain so that it escalates."""
    try:
        return incident_of(row)
    except (ValidationError, BadRunbook) as unreadable:
        why = clean(f"its stored plan cannot be read here: {unreadable}")[:500]
        seen = incident_of({**row, "state": {**row["state"], "plan": None, "diagnosis": None}, "reason": why})
        return seen.model_copy(update={"claimed_in_vain": max(seen.claimed_in_vain, 5)})


def intent_of(row: Row) -> Intent:
    return Intent.model_validate({name: row[name] for name in Intent.model_fields})


def obligation_of(row: Row) -> Obligation:
    fields = {name: row[name] for name in ("id", "incident", "intent", "step", "move", "undo", "state")}
    return Obligation.model_validate({**fields, "by": row["by_at"]})


def delivery_of(row: Row) -> Delivery:
    """`repeats_reference` is what the channel called the message that this one adds to."""
    fields = ("id", "incident", "message", "state", "tries", "due_at", "reference", "error", "sent_at")
    return Delivery.model_validate(
        {**{name: row[name] for name in fields}, "repeat_of": row["repeats_reference"] or ""}
    )
