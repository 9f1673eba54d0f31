"""The story of an incident, told from the journal: a structured record and its Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from byteport.engine.from_page import from_page
from byteport.engine.work import Work
from byteport.grammar.story import Performed
from byteport.model.base import Json
from byteport.records.delivery import Postmortem
from byteport.records.incident import Incident
from byteport.redaction import redact

LONGEST_FACT = 4000  # characters


def write(work: Work, closed: Incident) -> Postmortem:
    """Both forms, redacted; of an incident that has not ended what is known so far."""
    record: Json = redact(_record(work, closed))
    return Postmortem(incident=closed.id, record=record, markdown="\n".join(_lines(record)) + "\n")


def _record(work: Work, closed: Incident) -> Json:
    page, story = work.page, work.story()
    diagnosis = closed.diagnosis
    return {
        "incident": closed.id,
        "runbook": page.name,
        "title": page.title,
        "target": str(closed.signal.target),
        "ending": closed.ending,
        "reason": closed.reason,
        "mode": str(closed.mode),
        "person": closed.person,
        "signal": closed.signal.model_dump(mode="json", exclude={"raw"}),
        "classification": diagnosis.name if diagnosis else None,
        "confidence": diagnosis.confidence / 100 if diagnosis else None,
        "diagnosis": diagnosis.model_dump(mode="json") if diagnosis else None,
        "times": _times(closed),
        "actions": [_action(step, verdicts) for step, verdicts in zip(story.performed, _verdicts(work), strict=True)],
        "checks": [check.model_dump(mode="json") for check in closed.checks],
        "facts": {**from_page(page.escalate.bundle, story, {}, lambda problem: {"problem": problem})},
        "recommendation": from_page(page.escalate.fix, story, "", str),
        "timeline": [{"seq": e.seq, "at": e.at.isoformat(), "kind": e.kind, "text": e.text} for e in work.events],
    }


def _times(closed: Incident) -> dict[str, Any]:
    """Seconds from the signal, each None where it did not come to that."""
    fired = closed.signal.fired_at

    def after(at: datetime | None) -> float | None:
        return None if at is None else round((at - fired).total_seconds(), 3)

    return {
        "fired_at": fired.isoformat(),
        "seconds_to_detect": after(closed.opened_at),
        "seconds_to_act": after(closed.acted_at),
        "seconds_to_end": after(closed.closed_at),
        "seconds_to_escalate": after(closed.escalated_at),
    }


def _verdicts(work: Work) -> Iterator[list[str]]:
    """What the guards said of each step that was begun, as its own journal lines have it."""
    said: dict[str, list[Json]] = {}
    for event in work.events:
        if event.kind in ("outcome", "verdict") and "verdicts" in event.data:
            said.setdefault(str(event.data.get("move", "")), []).append(event.data)
    for intent in work.intents:
        lines = said.get(intent.move, [])
        told = lines.pop(0) if len(lines) > 1 else lines[0] if lines else {"verdicts": []}
        yield [
            f"{verdict['guard']}: {'allowed' if verdict['allowed'] else 'refused'}"
            + (f" ({verdict['reason']})" if verdict.get("reason") else "")
            for verdict in told["verdicts"]
        ]


def _action(step: Performed, verdicts: list[str]) -> dict[str, Any]:
    return {
        "verdicts": verdicts,
        "move": step.move,
        "subject": step.action.subject,
        "how": step.how,
        "count": step.count,
        "note": step.note,
        "items": list(step.effect.items) if step.effect else [],
    }


def _lines(record: Json) -> Iterator[str]:
    yield f"# Postmortem: {record['title']}"
    yield ""
    how = f"ended **{record['ending']}**" if record["ending"] else "is with a person"
    yield f"**{record['target']}** {how}: {record['reason']}"
    yield ""
    for word in ("incident", "runbook", "mode", "classification", "confidence"):
        if record[word] is not None:
            yield f"- {word}: `{record[word]}`"
    for word, value in record["times"].items():
        if value is not None:
            yield f"- {word.replace('_', ' ')}: {value}"
    yield from _diagnosis(record["diagnosis"])
    yield from _section(
        "What was done",
        [
            f"{a['move']} on `{a['subject']}`: {a['how']}, {a['count']} ({a['note']})"
            + (f"; {len(a['verdicts'])} guards were asked" if a["verdicts"] else "")
            for a in record["actions"]
        ]
        or ["nothing was written"],
    )
    yield from _section("Verification", [f"{c['name']}: {_passed(c)} ({c['because']})" for c in record["checks"]])
    yield from _section("Facts", [f"{name}: {_short(value)}" for name, value in record["facts"].items()])
    yield from _section("For good", [record["recommendation"]] if record["recommendation"] else [])
    yield from _section("Timeline", [f"{t['at']} {t['kind']}: {t['text']}" for t in record["timeline"]])


def _diagnosis(diagnosis: Json | None) -> Iterator[str]:
    if diagnosis is None:
        return
    words = {True: "held", False: "ruled out", None: "unknown"}
    yield from _section(
        "Diagnosis", [f"{line['name']}: {words[line['held']]}: {line['because']}" for line in diagnosis["considered"]]
    )


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"## {title}"
        yield ""
        yield from (f"- {line}" for line in lines)


def _passed(check: Json) -> str:
    return (
        "not measured" if not check["measured"] else {True: "passed", False: "failed", None: "unknown"}[check["passed"]]
    )


def _short(value: Any) -> str:
    text = _in_words(value)
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}… (whole in the record)"


def _in_words(value: Any) -> str:
    """A fact as people read it; what is within another is in brackets."""
    match value:
        case None:
            return "not known"
        case bool():
            return "yes" if value else "no"
        case dict():
            return "; ".join(f"{name}: {_nested(part)}" for name, part in value.items()) or "none"
        case list() | tuple():
            return "; ".join(_nested(part) for part in value) or "none"
        case _:
            return str(value)


def _nested(value: Any) -> str:
    return f"({_in_words(value)})" if isinstance(value, dict | list | tuple) and value else _in_words(value)
