"""How a page is read: contradictions, classification, planning, and its listing as data. All pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from byteport.errors import BadRunbook
from byteport.grammar.action import Action
from byteport.grammar.diagnosis import Considered, Diagnosis
from byteport.grammar.evidence import Evidence, fields_of
from byteport.grammar.guards import Guard, Never
from byteport.grammar.plan import Await, Do, EndIf, Look, Plan, Step, Tell
from byteport.grammar.truth import Truth, truth_of
from byteport.model.target import is_full_name

if TYPE_CHECKING:
    from byteport.grammar.runbook import Otherwise, Rule, Runbook

STALE_EVIDENCE = timedelta(minutes=5)
DEDUCTION = 15


def contradictions(page: Runbook) -> Iterator[tuple[str, str]]:
    """Every way in which the page contradicts itself: (where, what was expected)."""
    names = [rule.name for rule in page.rules] + [page.otherwise.name]
    for name in {name for name in names if names.count(name) > 1}:
        yield "rules", f"{name!r} stands twice; each class once"
    if page.otherwise.disposition == "act":
        yield "otherwise", "a catch-all never acts"
    for move in page.moves:
        if not move.guards:
            yield f"moves.{move.name}", "at least one guard"
    yield from _unlooked_at(page)
    yield from _misnamed_guards(page)


def _unlooked_at(page: Runbook) -> Iterator[tuple[str, str]]:
    fields = fields_of(page.evidence)
    needed = {**page.checks, **{check.name: check.needs for check in page.verify}}
    for check, needs in needed.items():
        for unknown in sorted(set(needs) - set(fields)):
            yield f"checks.{check}", f"{unknown!r} is not a field of the evidence"
    for check in page.checks:
        if not callable(getattr(page.evidence, check, None)):
            yield f"checks.{check}", "the name of a method of the evidence"
    again = page.look_again
    for name in [name for name in (again.check, again.enough) if name] if again is not None else []:
        if name not in page.checks:
            yield "look_again", f"{name!r} does not stand in the page's checks"
    for rule in page.rules:
        for unknown in sorted(set(rule.supported_by) - set(fields)):
            yield f"rules.{rule.name}.supported_by", f"{unknown!r} is not a field of the evidence"


def _misnamed_guards(page: Runbook) -> Iterator[tuple[str, str]]:
    options = {option.name for option in page.options}
    for guard in all_guards(page):
        if guard.option and guard.option not in options:
            yield f"guards.{guard.name}", f"its option {guard.option!r} is not an option of the page"
        for unknown in sorted(set(guard.reads) - set(page.evidence.FIELDS)):
            yield f"guards.{guard.name}", f"reads {unknown!r}, which is not a field of the evidence"
        if isinstance(guard, Never) and guard.move and guard.move not in page.by_move:
            yield f"never.{guard.name}", f"{guard.move!r} is not a move of the page"


def all_guards(page: Runbook) -> list[Guard]:
    """Every guard of the page once, by name: the moves', the page's own, the prohibitions."""
    found = [guard for move in page.moves for guard in move.guards] + list(page.guards) + list(page.never)
    return list({guard.name: guard for guard in found}.values())


def diagnose(page: Runbook, evidence: Evidence) -> Diagnosis:
    """The first rule that holds wins if every rule before it is known not to hold; else inconclusive."""
    considered: list[Considered] = []
    winner: Rule | None = None
    blocker: Considered | None = None
    for rule in page.rules:
        seen = evidence.watched()
        truth = truth_of(rule.when, seen)
        line = Considered(
            name=rule.name,
            held=truth.value,
            because=_worded(rule, truth, evidence),
            confidence=rule.hundredths,
            reads=tuple(sorted(seen.reads)),
            missing=truth.missing,
            lacks=truth.lacks,
            disposition=rule.disposition,
        )
        considered.append(line)
        if winner is None and blocker is None:
            if truth.value is None:
                blocker = line
            elif truth.value:
                winner = rule
    told = tuple(considered)
    if blocker is not None:
        return Diagnosis(
            name="inconclusive",
            disposition="escalate",
            confidence=0,
            considered=told,
            reads=blocker.reads,
            because=f"{blocker.name} cannot be told: {_gap(blocker.because)}",
        )
    if winner is None:
        return _otherwise(page.otherwise, told)
    line = next(entry for entry in told if entry.name == winner.name)
    lost, confidence = _deducted(winner, line, evidence)
    return Diagnosis(
        name=winner.name,
        disposition=winner.disposition,
        confidence=confidence,
        because=line.because,
        considered=told,
        deductions=lost,
        reads=line.reads,
    )


def _worded(rule: Rule, truth: Truth, evidence: Evidence) -> str:
    if truth.value and rule.says is not None:
        return rule.says(evidence.watched())
    return truth.because if truth.value is not False else f"not so: {truth.because.removeprefix('not: ')}"


def _otherwise(rule: Otherwise, considered: tuple[Considered, ...]) -> Diagnosis:
    last = Considered(
        name=rule.name,
        held=True,
        because="no other class holds",
        confidence=rule.hundredths,
        disposition=rule.disposition,
    )
    return Diagnosis(
        name=rule.name,
        disposition=rule.disposition,
        confidence=rule.hundredths or 0,
        because="no other class holds",
        considered=(*considered, last),
    )


def _gap(because: str) -> str:
    """Why something is unknown, without saying a second time that it is."""
    whole = because.startswith("unknown (") and because.endswith(")")
    return because[len("unknown (") : -1] if whole else because


def _deducted(rule: Rule, line: Considered, evidence: Evidence) -> tuple[tuple[str, ...], int]:
    lost = [f"-{DEDUCTION}: {name} is missing" for name in rule.supported_by if not evidence.knows(name)]
    if old := [name for name in line.reads if evidence.age_of(name) > STALE_EVIDENCE]:
        lost.append(f"-{DEDUCTION}: {', '.join(old)} older than 5 min")
    return tuple(lost), max(0, rule.hundredths - DEDUCTION * len(lost))


def plan(page: Runbook, diagnosis: Diagnosis, evidence: Evidence) -> Plan:
    """The frozen steps of the class. Raises NotKnown where the plan asks what no probe told, BadRunbook where
    a step is not a move of the page or the class's disposition does not allow it."""
    rules: list[Rule | Otherwise] = [*page.rules, page.otherwise]
    rule = next((rule for rule in rules if rule.name == diagnosis.name), None)
    if rule is None or rule.then is None:
        return Plan(end="escalate", reason=diagnosis.because)
    made = rule.then(evidence.watched())
    for n, step in enumerate(made.steps):
        _allowed(page, diagnosis, n, step)
    return made


def _allowed(page: Runbook, diagnosis: Diagnosis, n: int, step: Step) -> None:
    where = f"{page.name}.{diagnosis.name}.steps[{n}]"
    match step:
        case Do():
            _allowed_do(page, diagnosis, where, step)
        case Await() | EndIf() | Tell():
            _known_check(page, where, step.check)
        case Look():
            if unknown := set(step.fields) - set(page.evidence.FIELDS):
                raise BadRunbook(where, f"{sorted(unknown)} are not fields of the evidence")
        case _:
            return


def _allowed_do(page: Runbook, diagnosis: Diagnosis, where: str, step: Do) -> None:
    move = page.by_move.get(step.move)
    if move is None or not isinstance(step.action, move.action):
        raise BadRunbook(where, f"{step.move!r} with {type(step.action).__name__} is not a move of this page")
    if diagnosis.disposition in ("escalate", "audit_only"):
        raise BadRunbook(where, f"a class that may only {diagnosis.disposition} changes nothing")
    if diagnosis.disposition == "propose_pr" and "propose" not in step.action.verbs:
        raise BadRunbook(where, "a class with propose_pr only proposes")
    for action in (step.action, *([step.undo.action] if step.undo else [])):
        _named_in_full(where, action)
    if any(_forbids(guard, step, diagnosis.name) for guard in page.never):
        raise BadRunbook(where, f"the move {step.move!r} is forbidden in {diagnosis.name}")
    if step.undo is not None and step.undo.when is not None:
        _known_check(page, where, step.undo.when)


def _forbids(guard: Guard, step: Do, name: str) -> bool:
    return isinstance(guard, Never) and guard.move == step.move and guard.in_class in ("", name)


def _named_in_full(where: str, action: Action) -> None:
    if bare := [name for name in (action.subject, *action.within) if not is_full_name(name)]:
        raise BadRunbook(where, f"{type(action).__name__}: {bare[0]!r} is not kind:key (pod:NAME, server:HOST)")


def _known_check(page: Runbook, where: str, check: str) -> None:
    if check not in page.checks:
        raise BadRunbook(where, f"{check!r} does not stand in the page's checks")


def shape(page: Runbook) -> dict[str, Any]:
    """What a stored plan or evidence depends on; its digest is the page's identity."""
    return {
        "listing": listing(page),
        "fields": {
            name: [spec.probe.name, spec.adapter.json_schema()] for name, spec in fields_of(page.evidence).items()
        },
        "moves": {move.name: [move.action.kind(), move.action.schema_version] for move in page.moves},
        "checks": {name: list(needs) for name, needs in page.checks.items()},
    }


def listing(page: Runbook) -> dict[str, Any]:
    """`byteport runbooks show SLUG --json`, read off the page without evidence (the mode is the caller's to add)."""
    standing = [
        {
            "name": "dry_run",
            "kind": "dry_run",
            "scope": "runbook",
            "limit": None,
            "window_seconds": None,
            "value": "BYTEPORT_RUNBOOK_DRY_RUN or --dry-run",
        },
        {
            "name": "confidence_floor",
            "kind": "precondition",
            "scope": "per incident",
            "limit": None,
            "window_seconds": None,
            "value": page.confidence_floor / 100,
        },
    ]
    rules: list[Rule | Otherwise] = [*page.rules, page.otherwise]
    return {
        "slug": page.name,
        "title": page.title,
        "category": page.category,
        "maturity": page.maturity,
        "summary": page.summary,
        "signals": [{"name": s.name, "threshold": s.threshold, "severity": str(s.severity)} for s in page.signals],
        "target": {"kind": str(page.target), "key": page.target_key},
        "probes": list(dict.fromkeys(spec.probe.name for spec in fields_of(page.evidence).values())),
        "classes": [{"name": r.name, "confidence": r.confidence, "disposition": r.disposition} for r in rules],
        "confidence_floor": page.confidence_floor / 100,
        "moves": [{"name": move.name, "guards": [guard.name for guard in move.guards]} for move in page.moves],
        "guards": [guard.listed() for guard in all_guards(page)] + standing,
        "verify": {
            "checks": [check.name for check in page.verify],
            "schedule_seconds": _schedule(page),
            **_again(page),
        },
        "escalation": {
            "channels": list(page.escalate.channels),
            "dedup": {
                "window_seconds": page.escalate.once_per.total_seconds(),
                "key": list(page.escalate.per),
                "on_duplicate": page.escalate.on_duplicate,
            },
        },
        "permissions": {system: list(rights) for system, rights in page.permissions.items()},
        "config": [{"name": o.name, "default": o.default, "meaning": o.meaning} for o in page.options],
        "proven_on": list(page.proven_on),
    }


def _again(page: Runbook) -> dict[str, Any]:
    """Not said of a page that owes no look, so that its digest stays."""
    if (again := page.look_again) is None:
        return {}
    return {"looks_again": {"after_seconds": again.after.total_seconds(), "check": again.check}}


def _schedule(page: Runbook) -> list[float]:
    times: set[float] = set()
    for check in page.verify:
        at = check.after
        while at <= check.deadline:
            times.add(at.total_seconds())
            at += max(check.every, timedelta(seconds=1))
    return sorted(times)
