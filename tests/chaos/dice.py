"""Every decision of a campaign, drawn from its seed and the number of the moment, so that it can be repeated.

What is decided repeats; which incident is hit depends on how fast the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.chaos.shapes import ALL

MEMBERS = ("act-1", "act-2", "decide-1", "decide-2", "probe-1", "probe-2", "beat-1", "beat-2", "web-1")
DOORS = ("ledger", "redis", "patient", "channel")
# Out of a hundred kills. A child is killed where it matters most: with an intent in its hands.
KILLS = {"act child": 56, "act parent": 12, "decide": 9, "probe": 8, "beat": 8, "web": 7}
# The chance of each at one moment.
FAULTS = {
    "freeze": 0.05, "cut": 0.06, "stall": 0.04, "flush": 0.02, "restart redis": 0.01, "kill redis": 0.01,
    "empty redis": 0.01, "ring again": 0.3, "lose answers": 0.05,
}  # fmt: skip
SHAPES = {
    "ward_one": 26, "ward_several": 14, "ward_stepwise": 12, "ward_undoing": 12, "ward_failing": 6, "ward_batched": 8,
    "ward_handing": 6, "ward_limited": 5, "ward_brief": 7, "ward_crowded": 7, "ward_ceiled": 4, "ward_shy": 3,
}  # fmt: skip
RELAPSING = ("ward_one", "ward_limited", "ward_brief", "ward_crowded")


@dataclass(frozen=True)
class Fault:
    """`on` a member or a door, for `seconds`."""

    kind: str
    on: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Moment:
    """One kill, what else goes wrong then, and how long after the one before. `patience`: how far into an intent."""

    after: float
    kill: str
    which: int
    patience: float
    faults: tuple[Fault, ...]


def moment(seed: int, number: int) -> Moment:
    lots = Random(f"{seed}/moment/{number}")
    kill = lots.choices(list(KILLS), list(KILLS.values()))[0]
    faults = tuple(_fault(kind, lots) for kind, chance in FAULTS.items() if lots.random() < chance)
    return Moment(min(4.0, lots.expovariate(1 / 1.1)), kill, lots.randrange(1000), lots.uniform(0, 0.6), faults)


def _fault(kind: str, lots: Random) -> Fault:
    match kind:
        case "freeze":
            return Fault(kind, lots.choice([*MEMBERS, "act child", "act child"]), lots.uniform(42, 50))
        case "cut":
            return Fault(kind, lots.choice(DOORS), lots.uniform(0.1, 4))
        case "stall":
            return Fault(kind, lots.choice(DOORS), lots.uniform(0.5, 6))
        case "restart redis" | "kill redis" | "empty redis":
            return Fault(kind, "", lots.uniform(0, 2))
        case "ring again" | "lose answers":
            return Fault(kind, "", lots.randint(1, 12))
        case _:
            return Fault(kind)


@dataclass
class Signals:
    """The stream of signals: (event id, signal's name, valve). Some come twice, some are repeats of what is open."""

    seed: int
    lots: Random = field(init=False)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lots = Random(f"{self.seed}/signals")

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        number = 0
        while True:
            yield from self._next(number)
            number += 1

    def _next(self, number: int) -> Iterator[tuple[str, str, str]]:
        page = self.lots.choices(list(SHAPES), list(SHAPES.values()))[0]
        valve = self._valve(page, number)
        yield f"e{number}", page, valve
        chance = self.lots.random()
        if chance < 0.08:
            yield f"e{number}", page, valve  # the same event once more
        elif chance < 0.14:
            yield f"e{number}r", page, valve  # a repeat of what is open
        elif chance < 0.20 and page == "ward_one":
            yield f"e{number}t", "ward_several", valve  # another page on the same valve
        elif chance < 0.26 and len(self.sent) > 20:
            old_page, old_valve = self.lots.choice(self.sent[-60:])
            yield f"e{number}o", old_page, old_valve  # what was treated a while ago comes back
        if page in RELAPSING:
            self.sent.append((page, valve))

    def _valve(self, page: str, number: int) -> str:
        name = page.removeprefix("ward_")
        scopes = {
            "brief": lambda: f"b{self.lots.randrange(3)}",
            "crowded": lambda: f"c{number // 400}",
        }
        if page == "ward_limited" and self.lots.random() < 0.5:
            return f"limited.l{number // 60}.0"  # one that may have had its turn today
        return f"{name}.{scopes.get(name, lambda: f's{number // 2}')()}.{number}"


def valves(seed: int, most: int) -> list[str]:
    """The valves of the first signals, for the inventory."""
    stream = iter(Signals(seed))
    return list(dict.fromkeys(next(stream)[2] for _ in range(most)))


assert set(SHAPES) == set(ALL), "every page has its share"
