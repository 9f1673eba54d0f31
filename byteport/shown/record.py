"""Everything that the ledger knows of one incident, fetched together."""

from __future__ import annotations

from dataclasses import dataclass

from byteport.model.base import Json
from byteport.records.delivery import Delivery, Postmortem
from byteport.records.event import StoredEvent
from byteport.records.evidence import StoredAnswer
from byteport.records.incident import Incident
from byteport.records.intent import Intent
from byteport.redaction import redact
from byteport.stores import Ledger


@dataclass(frozen=True)
class Record:
    """One incident with its rows, each in the order in which they were written."""

    incident: Incident
    events: tuple[StoredEvent, ...] = ()
    answers: tuple[StoredAnswer, ...] = ()
    intents: tuple[Intent, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    postmortem: Postmortem | None = None

    @property
    def mark(self) -> str:
        """Changes whenever anything of this record has changed."""
        told = self.events[-1].seq if self.events else 0
        sent = ",".join(f"{d.state}{d.tries}" for d in self.deliveries)
        return f"{self.incident.version}.{told}.{len(self.answers)}.{len(self.intents)}.{sent}"


def fetch(ledger: Ledger, incident_id: str) -> Record | None:
    """Read the record; None for an unknown id. Raises Unavailable."""
    incident = ledger.incident(incident_id)
    if incident is None:
        return None
    return Record(
        incident=incident,
        events=tuple(ledger.events(incident_id)),
        answers=tuple(ledger.answers(incident_id)),
        intents=tuple(ledger.intents_of(incident_id)),
        deliveries=tuple(ledger.deliveries_of(incident_id)),
        postmortem=ledger.postmortem(incident_id),
    )


def as_json(record: Record) -> Json:
    """The record as `incidents show --json` and the API give it; without the source's raw payload, redacted."""
    told: Json = {
        **record.incident.model_dump(mode="json", exclude={"signal": {"raw"}}),
        "word": record.incident.word,
        "events": [event.model_dump(mode="json") for event in record.events],
        "evidence": [answer.model_dump(mode="json") for answer in record.answers],
        "intents": [intent.model_dump(mode="json") for intent in record.intents],
        "deliveries": [delivery.model_dump(mode="json") for delivery in record.deliveries],
        "postmortem": record.postmortem.model_dump(mode="json") if record.postmortem else None,
    }
    return {**redact(told), "id": record.incident.id}
