"""Why a diagnosis was not enough to act on, and the nearest change that would have made it so. Pure."""

from __future__ import annotations

from byteport.grammar.diagnosis import Considered, Diagnosis
from byteport.shown.evidence import decided_on
from byteport.shown.lifting import Change
from byteport.shown.outlook import Outlook
from byteport.shown.record import Record

ACTING = ("act", "propose_pr")


def of_diagnosis(record: Record, outlook: Outlook) -> Change | None:
    """None where the diagnosis was good enough, or there is none."""
    found = record.incident.diagnosis
    if found is None:
        return None
    told = [event.data["floor"] for event in record.events if event.kind == "diagnosis" and "floor" in event.data]
    floor = int(told[-1]) if told else outlook.floor
    if found.name == "inconclusive":
        return _inconclusive(record, found, floor, outlook)
    winner = next((line for line in found.considered if line.name == found.name), None)
    if winner is None or (winner is found.considered[-1] and not winner.reads):
        return _no_rule(found, floor)
    if found.disposition not in ACTING:
        return Change("nothing", f"nothing: {found.name} goes to a person by design")
    return _below(record, found, winner, floor, outlook) if found.confidence < floor else None


def _inconclusive(record: Record, found: Diagnosis, floor: int, outlook: Outlook) -> Change | None:
    """The first rule that could not be told, and what either of its answers would have led to."""
    unknown = next((line for line in found.considered if line.held is None), None)
    if unknown is None:
        return None
    had = f"had {_silent(record, unknown.missing, outlook)}"
    rest = found.considered[found.considered.index(unknown) + 1 :]
    after = next((line for line in rest if line.held is not False), None)
    if_held, if_not = _acts(unknown, floor), after is not None and bool(after.held) and _acts(after, floor)
    if unknown.disposition is None or (after is not None and after.held is None and not if_held):
        return Change("evidence", f"might have acted {had}; {unknown.name} could not be told")
    if not if_held and not if_not:
        return Change("nothing", f"nothing: {had}, it would have gone to a person all the same")
    either = "" if if_held and if_not else f" and {unknown.name} {'held' if if_held else 'been ruled out'}"
    return Change("evidence", f"would have acted {had}{either}")


def _silent(record: Record, fields: tuple[str, ...], outlook: Outlook) -> str:
    """The probes that did not answer, each with its failure."""
    names = list(dict.fromkeys(fields)) or ["every probe"]
    return " and ".join(f"{outlook.probes.get(n, n)} answered ({_why(record, n)})" for n in names)


def _why(record: Record, name: str) -> str:
    answer = decided_on(record).get(name)
    return str(answer.failure) if answer is not None and answer.failure is not None else "no answer in time"


def _acts(line: Considered, floor: int) -> bool:
    return line.disposition in ACTING and (line.confidence or 0) >= floor


def _no_rule(found: Diagnosis, floor: int) -> Change:
    """The acting rule that lacked least; the first of several."""
    lines = [line for line in found.considered if line.held is False and _acts(line, floor)]
    if not lines:
        return Change("nothing", "nothing: no rule held, and none of those ruled out would have acted")
    near = min(lines, key=lambda line: len(line.lacks))
    lacked = f"it lacked{' only' if len(near.lacks) == 1 else ''}: {'; '.join(near.lacks)}"
    told = lacked if near.lacks else near.because
    return Change("rule", f"would have acted if {near.name} had held ({(near.confidence or 0) / 100:.2f}); {told}")


def _below(record: Record, found: Diagnosis, winner: Considered, floor: int, outlook: Outlook) -> Change:
    """Which deductions lost it; where the rule itself is worth less than the floor, that."""
    text = f"would have acted if confidence were {floor / 100:.2f} instead of {found.confidence / 100:.2f}"
    whole = winner.confidence or 0
    if whole < floor:
        text += f"; no evidence lifts it there, {found.name} is worth {whole / 100:.2f} at most"
    else:
        lost = " and ".join(_lost(record, one) for one in found.deductions)
        text += f"; {lost}, without that it is {whole / 100:.2f}"
    now = f"; the floor is {outlook.floor / 100:.2f} by now" if outlook.floor <= found.confidence else ""
    return Change("confidence", text + now)


def _lost(record: Record, deduction: str) -> str:
    """`-15: gauge is missing` in words, with the failure of what is missing."""
    points, _, why = deduction.partition(": ")
    name = why.removesuffix(" is missing")
    because = f" ({_why(record, name)})" if name != why else ""
    return f"it lost {abs(int(points)) / 100:.2f} as {why}{because}"
