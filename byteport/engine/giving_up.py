"""What becomes of a move that cannot be made: the same again after a while, or a person."""

from __future__ import annotations

from datetime import timedelta

from byteport.engine import ending
from byteport.engine.work import Work, jittered
from byteport.model.units import seconds
from byteport.records.change import Change
from byteport.records.event import Event
from byteport.records.incident import Phase
from byteport.redaction import redact

MOST_TRIES = 5


def again(work: Work, problem: str) -> Change:
    """The same move after a while; a person after five tries."""
    incident = work.incident
    tries = incident.hiccups + 1
    if tries >= MOST_TRIES and incident.phase not in (Phase.ESCALATE, Phase.WRITE_UP):
        return give_up(work, f"{problem} ({tries} tries)")
    delay = jittered(min(seconds(2) * 2 ** min(tries, MOST_TRIES), timedelta(minutes=1)))
    told = Event(kind="hiccup", text=str(redact(problem))[:500])
    changed = incident.model_copy(update={"due_at": work.now + delay, "hiccups": tries})
    return Change(incident=changed, events=(told,))


def give_up(work: Work, problem: str) -> Change:
    """To a person; in plain words where the telling is what fails. Who was told already is left in peace: it is tried
    again after a minute, and then ever less often."""
    incident, told = work.incident, str(redact(problem))[:1000]
    event = Event(kind="problem", text=told)
    if incident.escalated_at is not None and incident.phase in (Phase.ESCALATE, Phase.WRITE_UP):
        tries = min(incident.hiccups + 1, MOST_TRIES)
        return work.wait(timedelta(minutes=1) * 2**tries, event, hiccups=tries)
    if incident.phase is Phase.ESCALATE:
        return ending.tell_plainly(work, told, event)
    return work.escalate(told, event)
