"""A recorded incident decided again, anywhere and offline: the same evidence gives the same diagnosis and plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field, ValidationError

from byteport.engine.gathering import gather
from byteport.errors import BadInput, NotKnown
from byteport.grammar.diagnosis import Diagnosis
from byteport.grammar.evidence import Evidence
from byteport.grammar.plan import Plan
from byteport.grammar.runbook import Runbook
from byteport.model.base import Json, Value
from byteport.model.target import Target
from byteport.records.event import StoredEvent
from byteport.records.evidence import StoredAnswer
from byteport.shown.record import Record

FORMAT = 1


class RecordedIncident(Value):
    """What of an incident a decision depends on, and what was decided."""

    id: str
    runbook: str
    page: str
    target: Target
    diagnosis: Diagnosis | None = None
    plan_digest: str | None = None
    plan: Json | None = None


class Recording(Value):
    """The file that `incidents export` writes. `now` is the time given to the diagnosis, `planned_at` to the plan."""

    format: int = Field(default=FORMAT, ge=1, le=FORMAT)
    incident: RecordedIncident
    answers: tuple[StoredAnswer, ...]
    options: Json
    now: AwareDatetime
    planned_at: AwareDatetime | None = None


@dataclass(frozen=True)
class Decided:
    """What the page at hand makes of the recording, and where that differs from what was recorded."""

    diagnosis: Diagnosis
    plan: Plan | None
    differences: tuple[str, ...]
    same_page: bool

    @property
    def same(self) -> bool:
        return not self.differences


def record_of(found: Record, options: Json) -> Recording:
    """The recording of an incident that was diagnosed; raises BadInput for one that was not yet."""
    incident = found.incident
    decided = _last(found, "diagnosis")
    if incident.diagnosis is None or decided is None:
        raise BadInput("incident", "one that has been diagnosed")
    planned = _last(found, "plan") if incident.plan is not None else None
    rounds = [int(e.data["round"]) for e in found.events if e.kind == "look" and e.seq < decided.seq]
    upto = max(rounds, default=1)
    return Recording(
        incident=RecordedIncident(
            id=incident.id,
            runbook=incident.runbook,
            page=incident.page,
            target=incident.signal.target,
            diagnosis=incident.diagnosis,
            plan_digest=incident.plan.digest if incident.plan is not None else None,
            plan=incident.plan.model_dump(mode="json") if incident.plan is not None else None,
        ),
        answers=tuple(answer for answer in found.answers if answer.round <= upto),
        options=options,
        now=_moment(decided),
        planned_at=_moment(planned) if planned is not None else None,
    )


def _last(found: Record, kind: str) -> StoredEvent | None:
    return next((event for event in reversed(found.events) if event.kind == kind), None)


def _moment(event: StoredEvent) -> datetime:
    told = event.data.get("looked_at")
    return datetime.fromisoformat(told) if isinstance(told, str) else event.at


def read(told: Any) -> Recording:
    """A recording from parsed JSON; raises BadInput naming the first wrong field."""
    try:
        return Recording.model_validate(told)
    except ValidationError as wrong:
        line = wrong.errors(include_url=False, include_input=False)[0]
        raise BadInput(".".join(str(part) for part in line["loc"]) or "recording", line["msg"]) from None


def decide(recording: Recording, page: Runbook) -> Decided:
    """Diagnose and plan anew; pure."""
    recorded = recording.incident
    diagnosis = page.diagnose(_evidence(recording, page, recording.now))
    differences = list(_unlike(recorded.diagnosis, diagnosis))
    plan: Plan | None = None
    if recorded.plan_digest is not None:
        try:
            plan = page.plan(diagnosis, _evidence(recording, page, recording.planned_at or recording.now))
        except NotKnown as gap:
            differences.append(f"plan: cannot be made any more ({gap})")
        else:
            if plan.digest != recorded.plan_digest:
                differences.append(f"plan: digest {plan.digest[:12]}, recorded {recorded.plan_digest[:12]}")
    return Decided(diagnosis, plan, tuple(differences), page.digest == recorded.page)


def _evidence(recording: Recording, page: Runbook, now: datetime) -> Evidence:
    return gather(page, recording.incident.target, recording.answers, now, recording.options)


def _unlike(recorded: Diagnosis | None, made: Diagnosis) -> list[str]:
    """Class, disposition, confidence, and each rule's answer; the wording of reasons may change."""
    if recorded is None:
        return ["diagnosis: none was recorded"]
    told = [
        f"{name}: {getattr(made, name)}, recorded {getattr(recorded, name)}"
        for name in ("name", "disposition", "confidence", "deductions")
        if getattr(made, name) != getattr(recorded, name)
    ]
    before = {line.name: line.held for line in recorded.considered}
    now = {line.name: line.held for line in made.considered}
    words = {True: "held", False: "ruled out", None: "unknown"}
    for rule in dict.fromkeys((*before, *now)):
        if rule not in before or rule not in now:
            told.append(f"rule {rule}: {'gone' if rule in before else 'new'}")
        elif before[rule] is not now[rule]:
            told.append(f"rule {rule}: {words[now[rule]]}, recorded {words[before[rule]]}")
    return told
