"""Rows 1 to 3: how soon an incident is treated, what it costs, and how many a machine treats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median, quantiles

from tests.bench.dramatic import Dramatiq, group_and_pipeline
from tests.bench.pages import PAUSE
from tests.bench.row import Goal, Row, alternated, compared
from tests.bench.shapes import BytePort, Chord, Spent, bare_chord
from tests.bench.stage import POLICY, stage
from tests.proxy import TcpProxy

PAUSED = 0.05  # seconds that each of the eight probes takes where they take any
CHORD = "a bare Celery chord of 8 + 4 no-ops"
DRAMATIQ = "dramatiq's group + pipeline, nothing journalled"
Say = Callable[[str], None]


def rows(quick: bool, say: Say) -> Iterator[Row]:
    """Everything that two fleets, one with probes that take time, tell of single incidents and of many."""
    say(f"raised for the benchmark, beside nothing else: {POLICY}")
    with stage() as place, bare_chord(place) as reference, group_and_pipeline(place) as other:
        fleet = BytePort(place)
        fleet.begin()
        yield from latency(fleet, reference, rounds=9 if quick else 15, each=5 if quick else 12)
        yield from cost(fleet, reference, other, rounds=3 if quick else 9, count=30 if quick else 60, say=say)
    yield trips(20)
    yield paused(rounds=9 if quick else 30)


def latency(fleet: BytePort, reference: Chord, *, rounds: int, each: int) -> Iterator[Row]:
    pairs = alternated(rounds, lambda: _sorted(fleet.latency, each), lambda: _sorted(reference.latency, each))
    middle = [(median(ours), median(theirs)) for ours, theirs in pairs]
    what = "latency, signal stored to first change"
    yield compared(1, f"{what}, p50", Goal("<=", 0.6), middle, unit="s", against=CHORD, lenient=True)
    ours, theirs = ([one for pair in pairs for one in pair[side]] for side in (0, 1))
    slowest = [(max(a), max(b)) for a, b in pairs]
    note = f"p99 over all: {_p99(ours):.3f} s against {_p99(theirs):.3f} s; the ratios are of each turn's slowest"
    yield compared(1, f"{what}, p99", Goal("<=", 0.6), slowest, unit="s", against=CHORD, lenient=True, note=note)


def cost(fleet: BytePort, reference: Chord, other: Dramatiq, *, rounds: int, count: int, say: Say) -> Iterator[Row]:
    turns = alternated(rounds, lambda: fleet.batch(count), lambda: (reference.batch(count), other.batch(count)))
    ours = [turn[0] for turn in turns]
    chords = [(mine.cpu_each, chord.cpu_each) for mine, (chord, _) in turns]
    yield compared(2, "CPU of an incident, all processes", Goal("<=", 0.5), chords, unit="s", against=CHORD)
    redis = sum((one.redis for one in ours), Counter()).total() / sum(one.incidents for one in ours)
    yield Row(2, "Redis commands of an incident", Goal("<=", 90, ""), redis, note=_by_kind(ours, "redis"))
    say("CPU by part: " + ", ".join(f"{name} {1e3 * spent:.1f} ms" for name, spent in _by_part(ours).items()))
    say("Redis commands: " + _by_kind(ours, "redis"))
    say("statements: " + _by_kind(ours, "statements"))
    rates = [(count / mine.seconds, count / chord.seconds) for mine, (chord, _) in turns]
    yield compared(3, "incidents a second, ended and journalled", Goal(">=", 2.5), rates, unit="/s", against=CHORD)
    dramatic = [(mine.cpu_each, theirs.cpu_each) for mine, (_, theirs) in turns]
    yield compared(3, "CPU of an incident", Goal("<=", 1.0), dramatic, unit="s", against=DRAMATIQ)


def trips(count: int) -> Row:
    """Counted at a door before the ledger, of the workers and of who stores the signal; nothing else is measured then."""
    doors: list[TcpProxy] = []

    def door(port: int) -> TcpProxy:
        doors.append(TcpProxy(port))
        return doors[-1]

    with stage(durable=False, door=door) as place:
        fleet = BytePort(place)
        fleet.begin()
        before = doors[0].trips
        fleet.one_by_one(count)
        each = (doors[0].trips - before) / count
        doors[0].close()
    return Row(
        2, "PostgreSQL round trips of an incident", Goal("<=", 30, ""), each, note="upkeep of three workers with it"
    )


def paused(*, rounds: int) -> Row:
    with stage(environment={PAUSE: str(PAUSED)}) as place:
        fleet = BytePort(place)
        fleet.begin()
        took = [fleet.latency() for _ in range(rounds)]
    ratios = tuple(median(took[at : at + 3]) / PAUSED for at in range(0, rounds, 3))
    what = "latency with probes of 50 ms, p50"
    against = "the slowest probe"
    return Row(1, what, Goal("<=", 1.5), median(took), "s", PAUSED, against, ratios, lenient=True)


def _sorted(measure: Callable[[], float], count: int) -> list[float]:
    return sorted(measure() for _ in range(count))


def _p99(figures: list[float]) -> float:
    return quantiles(figures, n=100)[98]


def _by_kind(spent: list[Spent], which: str) -> str:
    counted: Counter[str] = sum((getattr(one, which) for one in spent), Counter())
    incidents = sum(one.incidents for one in spent)
    told = [(name, calls / incidents) for name, calls in counted.most_common() if calls / incidents >= 0.5]
    return ", ".join(f"{each:.1f} {' '.join(name.split())[:60]}" for name, each in told)


def _by_part(spent: list[Spent]) -> dict[str, float]:
    return {name: median(one.by_part[name] / one.incidents for one in spent) for name in spent[0].by_part}
