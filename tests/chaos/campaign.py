"""A campaign: many incidents under way, and at every moment somebody is killed, frozen, cut off or told twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from time import monotonic

import redis

from byteport.records.incident import Phase
from tests.chaos.dice import Fault, Moment, moment
from tests.chaos.eyes import InHand
from tests.chaos.judge import Verdict, judge
from tests.chaos.site import Site
from tests.chaos.tally import Tally

READY_WITHIN = 120.0
DRAIN_WITHIN = 420.0
PREY_WITHIN = 12.0
TICK = 0.02
TASKS = ("remediate", "classify", "verify", "diagnose", "escalate", "probe", "sweep", "deliver", "tend")


@dataclass
class Campaign:
    """`say` hears a line now and then. Everything that it started has ended when `run` returns."""

    site: Site
    tally: Tally
    say: Callable[[str], None]
    hits: dict[str, datetime] = field(default_factory=dict)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    looked: float = 0.0

    def run(self) -> Verdict:
        """The whole campaign, and what came of it."""
        began = monotonic() - self.tally.seconds
        self.site.fleet.start()
        self.site.source.start()
        self._until(self._warm, READY_WITHIN, "the fleet ends its first incidents")
        while self.tally.killed < self.tally.wanted:
            self._moment(moment(self.tally.seed, self.tally.moments))
            self.tally.moments += 1
            self.tally.sent, self.tally.seconds = self.site.source.sent, monotonic() - began
            self.tally.save(self.site.folder / "tally.json")
            if self.tally.moments % 25 == 0:
                self.say(self.line())
        self._drain()
        self.tally.seconds = monotonic() - began
        for seconds, intent in self.site.eyes.settling(self.hits):
            self.tally.recovered(seconds, intent)
        arrived = self.site.stores.channel.arrived()
        return judge(self.site.eyes, self.site.source.record, arrived, self.site.journal)

    def line(self) -> str:
        tally = self.tally
        return (
            f"{tally.seconds:5.0f} s: {tally.killed} of {tally.wanted} kills, {tally.inside} inside an intent, "
            f"{sum(tally.faults.values())} other faults, {self.site.source.sent} signals, "
            f"slowest recovery {tally.slowest:.0f} s ({tally.slowest_of})"
        )

    # -- one moment --------------------------------------------------------------------------------------------------
    def _moment(self, now: Moment) -> None:
        self._wait(now.after)
        for fault in now.faults:
            if self._make(fault, now.which):
                self.tally.faults[fault.kind] += 1
        match now.kill:
            case "act child":
                self._kill_hunted(self.site.fleet.children(), now, whole=False)
            case "act parent":
                name = self.site.fleet.named("act", now.which)
                self._kill_hunted(self.site.fleet.children(name) if name else [], now, whole=True, member=name)
            case role:
                self._kill_member(role, now)

    def _kill_member(self, role: str, now: Moment) -> None:
        name = self.site.fleet.named(role, now.which)
        pid = self.site.fleet.members[name].pid if name else None
        if pid is not None and self.site.fleet.kill(pid):
            self.tally.kills[role] += 1
            self.site.eyes.mark(role, f"{role} killed")

    def _kill_hunted(self, _pids: list[int], now: Moment, *, whole: bool, member: str | None = None) -> None:
        """Wait until one of them has an intent in its hands, a little longer, and kill it there (or its parent)."""
        fleet, eyes = self.site.fleet, self.site.eyes
        deadline = monotonic() + PREY_WITHIN
        while monotonic() < deadline:
            seen = eyes.in_hands_of(fleet.children(member))
            if seen:
                break
            self._wait(TICK)
        self._wait(now.patience)
        children = fleet.children(member)
        seen = eyes.in_hands_of(children) or []
        if not children:
            return
        prey = seen[now.which % len(seen)].pid if seen else children[now.which % len(children)]
        parent = fleet.members[member].pid if member else None
        victim = parent if whole else prey
        if victim is None or not fleet.kill(victim):
            return
        self.tally.kills["act parent" if whole else "act child"] += 1
        eyes.mark("act", "act parent killed" if whole else "act child killed")
        self._count([one for one in seen if whole or one.pid == prey])

    def _count(self, seen: list[InHand]) -> None:
        """A kill counts as inside an intent when the intent that was in those hands has no outcome after it."""
        open_now = self.site.eyes.open_among([one.intent for one in seen])
        for row in open_now:
            self.hits[row["key"]] = row["now"]
        if not open_now:
            return
        row = open_now[0]
        acting = {one.intent: one.acting for one in seen}[row["key"]]
        place = "during its effect" if acting else "after its effect" if row["answered_at"] else "before its outcome"
        self.tally.hits[place if row["attempts"] else "before its attempt"] += 1

    # -- everything else that goes wrong -----------------------------------------------------------------------------
    def _make(self, fault: Fault, which: int) -> bool:
        stores = self.site.stores
        match fault.kind:
            case "freeze":
                frozen = self.site.fleet.freeze(fault.on, which, fault.seconds)
                role = fault.on.partition("-")[0].partition(" ")[0]
                if frozen:
                    self.site.eyes.mark(role, f"{fault.on} frozen")
                return frozen
            case "cut" | "stall":
                door = stores.doors[fault.on]
                (door.cut if fault.kind == "cut" else door.stall)()
                self._after(fault.seconds, door.restore)
            case "flush":
                with suppress(redis.RedisError):
                    stores.flush_redis()
            case "ring again":
                self._ring_again(int(fault.seconds), Random(f"{self.tally.seed}/{which}"))
            case "lose answers":
                stores.channel.losing += int(fault.seconds)
            case how:
                stores.stop_redis(how)
                self._wait(fault.seconds)
                stores.start_redis()
        return True

    def _ring_again(self, times: int, lots: Random) -> None:
        """Messages that come twice, late, or for what has long moved on."""
        incidents = self.site.eyes.in_flight()
        for row in lots.sample(incidents, min(times, len(incidents))):
            task = lots.choice(TASKS)
            if task == "probe":
                self.site.bells.send_groups(row["id"], [(row["round"], "valves"), (max(1, row["round"] - 1), "gauges")])
            elif task in ("sweep", "deliver", "tend"):
                with suppress(Exception):
                    self.site.bells.signature(f"byteport.{task}").apply_async(retry=False)
            else:
                self.site.bells.ring(row["id"], Phase(row["phase"]))
                with suppress(Exception):
                    self.site.bells.signature(f"byteport.{task}", row["id"]).apply_async(retry=False)

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        self.later.append((monotonic() + seconds, do))

    # -- time --------------------------------------------------------------------------------------------------------
    def _wait(self, seconds: float) -> None:
        """Let time pass: the supervisor restarts, doors open again, recoveries are noted."""
        until = monotonic() + seconds
        while True:
            self._tend()
            if (left := until - monotonic()) <= 0:
                return
            time.sleep(min(left, TICK))

    def _tend(self) -> None:
        now = monotonic()
        due = [do for at, do in self.later if at <= now]
        self.later = [(at, do) for at, do in self.later if at > now]
        for do in due:
            do()
        self.site.fleet.tend()
        if now - self.looked >= 0.5:
            self.looked = now
            for seconds, what in self.site.eyes.recovered():
                self.tally.recovered(seconds, what)

    def _warm(self) -> bool:
        rows = self.site.eyes.ledger("select count(*) as n from byteport.incidents where phase = 'closed'")
        return int(rows[0]["n"]) >= 3

    def _drain(self) -> None:
        """Nothing is broken any more, no new signals; everything has to end by itself."""
        self.site.source.finish()
        self.site.fleet.thaw_all()
        for door in self.site.stores.doors.values():
            door.restore()
        self.later.clear()
        self.say(self.line() + "; waiting for the end of everything")
        with suppress(TimeoutError):
            self._until(lambda: not self.site.eyes.unsettled(), DRAIN_WITHIN, "everything ends")

    def _until(self, so: Callable[[], bool], within: float, what: str) -> None:
        deadline = monotonic() + within
        while not so():
            if monotonic() > deadline:
                raise TimeoutError(f"not within {within:.0f} s: {what} ({self.site.eyes.unsettled()})")
            self._wait(0.25)
