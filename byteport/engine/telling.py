"""What people are told: built once for all channels, redacted, identified so that a repeat is a repeat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from byteport.engine import postmortem
from byteport.engine.from_page import from_page
from byteport.engine.work import Work
from byteport.grammar.plan import Do, Plan
from byteport.grammar.story import Story
from byteport.model.signal import Mode
from byteport.records.delivery import Kind, Message
from byteport.records.figures import key_of
from byteport.records.incident import Incident
from byteport.redaction import redact

STORM = "storm_breaker"
QUIET = ("postmark",)


def escalation(work: Work) -> tuple[Message, ...]:
    """One message for each of the page's channels that is configured; the fallback where none is. In a storm all of
    its incidents are one matter, but for what was left behind at a target."""
    storm = "" if _left_something(work) else _storm_now(work)
    return _messages(work, "escalation", storm or work.incident.reason, full=True, buttons=("ack",))


def again(work: Work, reason: str) -> tuple[Message, ...]:
    """A page that nobody has taken, louder; nothing in a storm, which has its digests."""
    if work.incident.of_a_storm or _storm_now(work):
        return ()
    return _messages(work, "escalation", reason, full=False, buttons=("ack",), loud=True)


def taken(work: Work, by: str) -> tuple[Message, ...]:
    """Who is on it. No reason for a mail, nor for a word where a storm was told of as one."""
    if work.incident.of_a_storm:
        return ()
    told = _messages(work, "acknowledgement", by, full=False)
    return tuple(message for message in told if not message.channel.startswith(QUIET))


def approval(work: Work, plan: Plan, until: datetime) -> tuple[Message, ...]:
    """Asking for a plan: what it would do, and until when somebody may say so."""
    steps = "; ".join(steps_in_words(plan))
    reason = f"waits until {until:%H:%M} UTC for somebody to approve: {steps}"
    asked = _messages(work, "approval", reason, full=True, buttons=("approve", "cancel"), plan=plan.digest)
    return tuple(m.with_(dedup_key=f"{m.dedup_key}|{plan.digest[:16]}|{work.incident.asked + 1}") for m in asked)


def steps_in_words(plan: Plan) -> Iterator[str]:
    """What a plan does, in real names; looks and waits by their kind."""
    for number, step in enumerate(plan.steps, 1):
        yield f"{number}. {step.move} on {step.action.subject}" if isinstance(step, Do) else f"{number}. {step.step}"


def _storm_now(work: Work) -> str:
    incident = work.incident
    storm = work.ledger.standing(incident.id, incident.runbook, incident.signal.target).storm
    return f"{STORM}: storm: {storm}" if storm else ""


def _left_something(work: Work) -> bool:
    return any(event.kind == "undo" and event.data.get("state") == "escalated" for event in work.events)


def resolution(work: Work) -> tuple[Message, ...]:
    """How it ended; only where something was done or people had been told or asked before. A storm's end is told for
    all of it."""
    incident = work.incident
    if incident.of_a_storm and not work.has_written:
        return ()
    if not (work.has_written or incident.escalated_at or incident.asked or incident.warned):
        return ()
    return _messages(work, "resolution", incident.reason, full=False)


def _messages(work: Work, kind: Kind, reason: str, *, full: bool, **more: Any) -> tuple[Message, ...]:
    page, incident, story = work.page, work.incident, work.story(reason=reason)
    if reason.startswith(STORM):
        return _of_the_storm(work, kind, reason)
    fields = dict(from_page(page.escalate.summary, story, {}, _as_problem))
    bundle = _bundle(work, story) if full else {}
    word = {"resolution": incident.word, "approval": "asks for approval", "acknowledgement": "acknowledged"}.get(
        kind, "escalated"
    )
    return tuple(
        Message(
            kind=kind,
            channel=channel,
            dedup_key=dedup_key(work, kind),
            severity=str(incident.signal.severity),
            dedup_seconds=page.escalate.once_per.total_seconds(),
            dry_run=incident.mode is Mode.DRY_RUN,
            link=f"{story.link}#postmortem" if kind == "resolution" else story.link,
            title=f"{page.name}: {incident.signal.target.key} {word}",
            text=str(redact(reason)),
            fields=redact(fields),
            bundle=redact(bundle),
            **more,
        )
        for channel in channels_of(work)
    )


def plainly(work: Work, reason: str) -> tuple[Message, ...]:
    """Without the story, where that is what cannot be told. Reads nothing but the incident."""
    incident = work.incident
    key = f"escalation|{incident.runbook}|{incident.signal.target.key}|{incident.id}"
    return tuple(
        Message(
            kind="escalation", channel=channel, dedup_key=key, severity=str(incident.signal.severity),
            dedup_seconds=work.page.escalate.once_per.total_seconds(), dry_run=incident.mode is Mode.DRY_RUN,
            title=f"{incident.runbook}: {incident.signal.target.key} escalated", text=str(redact(reason)),
            link=f"{work.policy.base_url.rstrip('/')}/incidents/{incident.id}",
        )
        for channel in channels_of(work)
    )  # fmt: skip


def _of_the_storm(work: Work, kind: Kind, reason: str) -> tuple[Message, ...]:
    """The same words for every incident of a storm, so that people hear of it once."""
    page = work.page
    return tuple(
        Message(
            kind=kind, channel=channel, dedup_key=key_of(page.name), title=f"{page.name}: storm",
            text=str(redact(reason)), dedup_seconds=page.escalate.once_per.total_seconds(),
            link=f"{work.policy.base_url.rstrip('/')}/",
        )
        for channel in channels_of(work)
    )  # fmt: skip


def channels_of(work: Work) -> tuple[str, ...]:
    """The page's channels that are configured, those of the team that the signal belongs to before the common ones."""
    policy, incident = work.policy, work.incident
    team = policy.team(incident.runbook, incident.signal)
    wanted = [(f"{name}/{team}", name) for name in work.page.escalate.channels]
    found = [next((name for name in names if name in policy.channels), "") for names in wanted]
    return tuple(dict.fromkeys(name for name in found if name)) or (policy.fallback_channel,)


def dedup_key(work: Work, kind: Kind) -> str:
    """Equal for repeats of one matter. A rise in severity, another class or a failed remediation is another matter."""
    incident = work.incident
    names = {"classification": _class(incident), "class": _class(incident)}
    named = [names.get(name, incident.signal.target.key) for name in work.page.escalate.per]
    failed = "failed" if work.has_written and incident.ending == "" else ""
    severity = str(incident.signal.severity)
    parts = [kind, incident.runbook, *dict.fromkeys(named), _class(incident), severity, failed]
    if kind == "escalation":
        parts.append(from_page(work.page.escalate.anew, work.story(), "", str))
    if kind in ("resolution", "acknowledgement"):
        parts.append(incident.id)
    return "|".join(part for part in parts if part)


def _class(incident: Incident) -> str:
    return incident.diagnosis.name if incident.diagnosis else ""


def _bundle(work: Work, story: Story) -> dict[str, Any]:
    """The contract's content, and what every escalation carries: reasons, plan, verdicts, timeline, commands."""
    page, incident = work.page, work.incident
    return {
        **from_page(page.escalate.bundle, story, {}, _as_problem),
        **_earlier(story),
        "signal": incident.signal.name,
        "target": str(incident.signal.target),
        "classification": _class(incident) or None,
        "confidence": incident.diagnosis.confidence / 100 if incident.diagnosis else None,
        "diagnosis": incident.diagnosis.model_dump(mode="json") if incident.diagnosis else None,
        "plan": incident.plan.model_dump(mode="json") if incident.plan else None,
        "verdicts": [event.data for event in work.events if event.kind in ("verdict", "rehearsal")],
        "postmortem_markdown": postmortem.write(work, incident).markdown,
        "timeline": [f"{event.at:%H:%M:%S} {event.kind}: {event.text}" for event in work.events],
        "manual_commands": list(from_page(page.escalate.manual, story, (), lambda problem: (problem,))),
    }


def _earlier(story: Story) -> dict[str, Any]:
    """What it looks at again, and how that had ended."""
    return {} if story.earlier is None else {"follows": story.earlier.link, "ended_with": story.earlier.reason}


def _as_problem(problem: str) -> dict[str, Any]:
    return {"problem": problem}
