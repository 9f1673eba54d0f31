"""Between rows and values: what goes into jsonb, and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from json import dumps
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from byteport.errors import BadRunbook
from byteport.model.signal import Mode, Signal
from byteport.records.change import Known
from byteport.records.delivery import Delivery, Message
from byteport.records.event import StoredEvent
from byteport.records.evidence import StoredAnswer
from byteport.records.incident import Incident, Phase
from byteport.records.intent import Intent, Obligation
from byteport.redaction import redact_text

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
    "acknowledged_at",
    "acknowledged_by",
    "closed_at",
    "command",
    "command_by",
    "command_why",
)

IN_COLUMNS = {*OF_INCIDENT, "signal", "claimed_in_vain"}
NOTHING = object()
# What readers in SQL ask for is said in any case.
AT_FIRST = {
    name: to_jsonable_python(field.get_default())
    for name, field in Incident.model_fields.items()
    if not field.is_required() and name not in ("plan", "diagnosis")
}


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


def as_text(value: Any) -> str:
    """The same as JSON text. Nearly everything can be kept as it is, and then nothing is walked through."""
    try:
        text = dumps(value, default=_told, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError):
        return dumps(plain(value), ensure_ascii=False)
    return text if "\\u0000" not in text else dumps(plain(value), ensure_ascii=False)


def json(value: Any) -> Jsonb:
    """A bind parameter for jsonb."""
    return Jsonb(as_text(value), dumps=_as_it_is)


def _told(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


def _as_it_is(text: str) -> str:
    return text


def maybe(value: Any) -> Jsonb | None:
    """The same, with SQL's null for None."""
    return None if value is None else json(value)


def state_of(incident: Incident) -> dict[str, Any]:
    """What a save writes beside the columns; the signal stands in a column of its own and stays as it was.

    Neither what the columns have nor what is as it always begins: an incident that waits is kept for days, and half of
    what could be said of it says nothing.
    """
    told = incident.model_dump(mode="json", exclude=IN_COLUMNS)
    return {name: part for name, part in told.items() if part != AT_FIRST.get(name, NOTHING)}


def state_text(incident: Incident) -> str:
    return as_text(state_of(incident))


def incident_of(row: Row) -> Incident:
    """The stored state with the columns laid over it; the severity is the highest that any signal had.

    Raises pydantic.ValidationError or BadRunbook where this process cannot read the stored plan.
    """
    kept = {name: part for name, part in row["state"].items() if name in Incident.model_fields}
    columns = {name: row[name] for name in OF_INCIDENT}
    signal = {**_known(row["signal"], Signal), "severity": row["severity"]}
    return Incident.model_validate({**kept, **columns, "signal": signal, "claimed_in_vain": row["claims_in_vain"]})


OF_SAVED = (*OF_INCIDENT, "severity", "claims_in_vain", "lease_token", "lease_until", "claimed_at")


def saved_as(incident: Incident, row: Row) -> Incident:
    """What was saved, with the columns as they stand laid over it; the state is what was sent."""
    columns = {name: row[name] for name in OF_INCIDENT}
    columns |= {"phase": Phase(row["phase"]), "mode": Mode(row["mode"])}
    if incident.signal.severity != row["severity"]:
        columns["signal"] = incident.signal.with_(severity=row["severity"])
    return incident.model_copy(update={**columns, "claimed_in_vain": row["claims_in_vain"], "is_due_now": False})


def read_incident(row: Row) -> Incident:
    """The same, and where this process cannot read what is stored: the incident without it, the reason saying why, and
    marked as claimed in vain so that it escalates."""
    try:
        return incident_of(row)
    except (ValidationError, BadRunbook) as unreadable:
        seen = _readable(row, unreadable)
        return seen.model_copy(update={"claimed_in_vain": max(seen.claimed_in_vain, 5)})


def _readable(row: Row, unreadable: Exception) -> Incident:
    """Without its plan, and if need be without whatever else is wrong; a signal is replaced by what the columns say."""
    what, state = "plan", {**row["state"], "plan": None, "diagnosis": None}
    told = redact_text(str(unreadable))
    try:
        return incident_of({**row, "state": state, "reason": _unread(what, told)})
    except ValidationError as worse:
        wrong = sorted({str(error["loc"][0]) for error in worse.errors()})
        kept = {name: part for name, part in state.items() if name not in wrong}
        signal = _stand_in(row) if "signal" in wrong else row["signal"]
        return incident_of({**row, "state": kept, "reason": _unread(", ".join(wrong), told), "signal": signal})


def _unread(what: str, why: str) -> str:
    return clean(f"its stored {what} cannot be read here: {why}")[:500]


def _stand_in(row: Row) -> Mapping[str, Any]:
    """Enough to name the target to people. Whoever stored it knows more of it: nothing is to be done on this."""
    target = {"kind": row["target_kind"], "key": row["target_key"]}
    return {"name": "unreadable", "source": "unreadable", "target": target, "fired_at": row["opened_at"]}


def intent_of(row: Row) -> Intent:
    return Intent.model_validate({name: row[name] for name in Intent.model_fields})


def obligation_of(row: Row) -> Obligation:
    fields = {name: row[name] for name in ("id", "incident", "intent", "step", "move", "undo", "state")}
    return Obligation.model_validate({**fields, "by": row["by_at"]})


READS: Mapping[str, Callable[[Row], Any]] = {
    "answers": StoredAnswer.model_validate,
    "intents": intent_of,
    "owed": obligation_of,
    "events": StoredEvent.model_validate,
}


def known_of(row: Row) -> Known:
    """What `byteport.known_of` has read; what it has not stays unknown."""
    read = {name: row.get(name) for name in READS}
    parts: dict[str, Any] = {name: tuple(map(READS[name], rows)) for name, rows in read.items() if rows is not None}
    return Known(**parts)


def delivery_of(row: Row) -> Delivery:
    """`repeats_reference` is what the channel called the message that this one adds to. A message that cannot be read
    here is told as far as its words go."""
    fields = ("id", "state", "tries", "created_at", "due_at", "reference", "error", "sent_at")
    message = _known(row["message"], Message)
    told = {"incident": row["incident"] or "", "repeat_of": row["repeats_reference"] or ""}
    kept = {**{name: row[name] for name in fields}, **told, "closes": row.get("closes", True)}
    try:
        return Delivery.model_validate({**kept, "message": message})
    except ValidationError:
        return Delivery.model_validate({**kept, "message": _in_its_words(row)})


def _in_its_words(row: Row) -> Message:
    title, text = (str(row["message"].get(name) or "a message that cannot be read here") for name in ("title", "text"))
    return Message(kind="notice", channel=row["channel"], dedup_key=row["dedup_key"], title=title, text=text)


def _known(stored: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Without what only a newer release knows of: a field more does not make the others wrong."""
    return {name: part for name, part in stored.items() if name in model.model_fields}
