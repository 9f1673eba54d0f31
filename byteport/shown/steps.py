"""The plan as people read it: each step in words, how far it has come, and what the target answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from byteport.grammar.action import Action
from byteport.grammar.plan import Await, Do, EndIf, HandOver, Look, Pause, Plan, Step, Tell
from byteport.model.base import Json
from byteport.records.event import StoredEvent
from byteport.records.incident import Phase
from byteport.records.intent import Intent
from byteport.records.outcome import Done, Failed, Refused
from byteport.shown.record import Record

State = Literal["waiting", "now", "done", "not_ours", "failed", "unknown", "refused", "skipped", "rehearsed", "blocked"]
WORDS: dict[State, str] = {
    "waiting": "to come",
    "now": "now",
    "done": "done",
    "not_ours": "was so before",
    "failed": "failed",
    "unknown": "effect unknown",
    "refused": "refused",
    "skipped": "passed",
    "rehearsed": "would be done",
    "blocked": "would be refused",
}


@dataclass(frozen=True)
class StepLine:
    """One step. `details` are the action's own fields; `note` what became of it."""

    number: int
    kind: str
    text: str
    state: State
    note: str = ""
    attempts: int = 0
    details: Json = field(default_factory=dict)
    items: tuple[str, ...] = ()
    owes: str = ""

    @property
    def word(self) -> str:
        return WORDS[self.state]


def steps_of(record: Record) -> list[StepLine]:
    """Every step of the frozen plan; empty before there is one."""
    plan = record.incident.plan
    return [_line(record, number, step) for number, step in enumerate(plan.steps)] if plan is not None else []


def end_in_words(plan: Plan) -> str:
    """What comes after the last step."""
    match plan.end:
        case HandOver() as over:
            return f"then hand over to {over.to}: {over.reason}"
        case "verify":
            return "then verify"
        case "partial":
            return "then close as partially resolved"
        case _:
            return "then escalate to a person"


def _line(record: Record, number: int, step: Step) -> StepLine:
    match step:
        case Do():
            return _do_line(record, number, step)
        case Look():
            text = f"look again at {', '.join(step.fields)}"
        case Pause():
            text = f"wait {step.length.total_seconds():g} s"
        case Await():
            text = f"wait up to {step.within.total_seconds():g} s until {_plain(step.check)}"
        case EndIf():
            text = f"if {_plain(step.check)}: {step.end}"
        case Tell():
            text = f"if {_plain(step.check)}: tell people, and go on"
    return StepLine(number, step.step, text, _passed(record, number))


def _do_line(record: Record, number: int, step: Do) -> StepLine:
    intent = next((i for i in record.intents if i.step == number and i.direction == "do"), None)
    rehearsal = next((e for e in record.events if e.kind == "rehearsal" and e.data.get("step") == number), None)
    action = intent.action if intent is not None else step.action
    state, note = _outcome(record, number, intent, rehearsal)
    owed = step.undo
    return StepLine(
        number=number,
        kind="do",
        text=f"{_plain(step.move)} on {action.subject}",
        state=state,
        note=note,
        attempts=intent.attempts if intent is not None else 0,
        details=details_of(action),
        items=intent.effect.items if intent is not None and intent.effect is not None else (),
        owes=f"{type(owed.action).__name__} when {owed.when or 'it ends'}" if owed is not None else "",
    )


def _outcome(record: Record, number: int, intent: Intent | None, rehearsal: StoredEvent | None) -> tuple[State, str]:
    if intent is None and rehearsal is not None:
        return ("rehearsed" if rehearsal.data.get("allowed") else "blocked"), rehearsal.text
    if intent is None:
        return _passed(record, number, never="skipped"), ""
    match intent.outcome:
        case Done() as done:
            return ("done" if done.ours else "not_ours"), done.note
        case Failed() as failed:
            return ("unknown" if failed.unknown else "failed"), failed.reason
        case Refused() as refused:
            return "refused", f"{refused.blocking.guard}: {refused.blocking.reason}"
        case None:
            return "now", "begun; waiting for the effect to show" if intent.attempts else "about to begin"


def _passed(record: Record, number: int, never: State = "skipped") -> State:
    """Where the cursor stands tells what became of a step that leaves no intent."""
    incident = record.incident
    if incident.ending == "rehearsed":
        return "rehearsed"
    if number < incident.cursor:
        return "done" if never == "skipped" and incident.plan and incident.plan.steps[number].step != "do" else never
    return "now" if number == incident.cursor and incident.phase is Phase.ACT else "waiting"


def details_of(action: Action) -> dict[str, Any]:
    """An action's fields, a long batch as its number."""
    told = action.model_dump(mode="json")
    return {name: f"{len(v)} in all" if isinstance(v, list) and len(v) > 12 else v for name, v in told.items()}


def _plain(name: str) -> str:
    return name.replace("_", " ")
