"""`byteport demo`: the main job on this machine, for real: a full database, noticed, treated, verified, told.

No threshold is lowered. A session counts as stuck after 300 s, so the patient starts first and its sessions age while
the rest starts; the clock of the fleet (and with it the poller) is started when they will be old enough at the moment
the poller has seen the database full for its 60 s.
"""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TypeVar

import yaml

from byteport import wiring
from byteport.embedded.demo_result import Result, nothing_happened, result_of
from byteport.embedded.demo_view import View, probe_lines, view_for
from byteport.embedded.fleet import CLOCK, FLOWER_USER, Addresses, Fleet, private
from byteport.embedded.patient import FULL, KEPT_BY_BYTEPORT, Patient, start_patient
from byteport.embedded.up import told_to_stop
from byteport.errors import BytePortError, Transient
from byteport.model.signal import Mode
from byteport.records.event import StoredEvent
from byteport.records.incident import Incident, Phase
from byteport.settings import Settings, usual_data_dir

RUNBOOK = "db_connection_pool_exhaustion"
MOST_SECONDS = 465.0  # eight minutes, less the time to put everything away
STUCK_AFTER = 300.0  # the page's own threshold; the demo waits for it
AGE_AT_START = 236.0  # the poller's first look comes 10 s later, its signal 60 s after that
WATCH_SECONDS = 90.0
LOOK_EVERY = 0.25
T = TypeVar("T")


class Interrupted(Exception):
    """Somebody pressed Ctrl-C, or the demo's time is up; the text says which."""


@dataclass
class Demo:
    """One performance."""

    view: View
    folder: Path
    stories: Path
    dry_run: bool
    stop: threading.Event
    began: float = field(default_factory=monotonic)
    fleet: Fleet | None = None

    def play(self, undo: ExitStack) -> tuple[Result, Addresses]:
        """Everything up to the closed incident. Raises Interrupted, NotStarted and whatever a store raises."""
        self.view.headline(
            "A patient: PostgreSQL with few connections, and an application that forgets its transactions"
        )
        patient = start_patient(self.folder, undo)
        self.view.say(f"   {patient.key}: {_told(patient)}")
        self.view.headline("BytePort: ledger, broker, workers, console, Flower")
        fleet, addresses = self._start_fleet(patient, undo)
        self.fleet = fleet
        self._greet(addresses)
        world = undo.enter_context(wiring.build(Settings.load(environ=fleet.environment), role="intake"))
        if not self.dry_run:
            world.ledger.promote(RUNBOOK, Mode.LIVE, getpass.getuser(), "demo")
        self._until_kept(patient)
        self._until_old_enough(patient)
        fleet.start_member(CLOCK)
        return self._watch(world, patient), addresses

    # -- before ------------------------------------------------------------------------------------------------------
    def _start_fleet(self, patient: Patient, undo: ExitStack) -> tuple[Fleet, Addresses]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
        config = {
            "data_dir": str(self.folder / "byteport"),
            "databases": {"shop": {"url": patient.probe_url, "act_url": patient.act_url}},
            "web": {"port": 0},
        }
        inherited["BYTEPORT_CONFIG"] = str(private(self.folder / "byteport.yaml", yaml.safe_dump(config)))
        settings = Settings.load(environ=inherited)
        fleet = Fleet(settings, lambda line: self.view.say(f"   {line}"), inherited=inherited, without=(CLOCK,))
        return fleet, undo.enter_context(fleet.running())

    def _greet(self, addresses: Addresses) -> None:
        password = (addresses.data_dir / "flower-password").read_text(encoding="ascii").strip()
        self.view.say(f"   console {addresses.console}  token {addresses.token}")
        self.view.say(f"   flower  {addresses.flower}  user {FLOWER_USER}  password {password}")
        self.view.say(
            "   dry run: everything is decided, nothing is ended" if self.dry_run else "   live, by promotion"
        )

    def _until_kept(self, patient: Patient) -> None:
        """BytePort's own connections are in before the last slots are gone, and count as load like any other."""
        since = monotonic()
        while (reading := patient.reading()).ours < KEPT_BY_BYTEPORT or reading.utilization < FULL:
            if monotonic() - since > 60:
                raise Interrupted(f"the patient is not full: {_told(patient)}")
            self._wait("BytePort takes its three kept connections", monotonic() - since, 60)
        self.view.say(f"   {patient.key}: {_told(patient)}")

    def _until_old_enough(self, patient: Patient) -> None:
        self.view.headline(
            f"Waiting: a session idle in transaction counts as stuck after {STUCK_AFTER:.0f} s, also here"
        )
        self.view.say("   (BytePort begins to watch when they will be older than that by the end of the poller's 60 s)")
        while (age := patient.reading().youngest) < AGE_AT_START:
            until = monotonic() + 5
            while monotonic() < until and age < AGE_AT_START:
                self._wait("the sessions age", age, AGE_AT_START)
                age += LOOK_EVERY

    # -- the incident ------------------------------------------------------------------------------------------------
    def _watch(self, world: wiring.Wired, patient: Patient) -> Result:
        self.view.headline("The database poller watches: at least 90 % of the usable connections for 60 s is a signal")
        since, began, before = datetime.now(UTC), monotonic(), patient.reading().utilization
        while True:
            now = patient.reading().utilization
            if (found := self._found(world)) is not None:  # acting may have begun: `before` was read before the signal
                break
            before = now
            self._wait(f"{before:.0%} of the usable connections are in use", monotonic() - began, WATCH_SECONDS)
        incident = self._followed(world, found)
        after = patient.reading().utilization
        events = world.ledger.events(incident.id)
        self.view.say(f"   {patient.key}: {_told(patient)}")
        return self._kept_story(world, incident, result_of(
            incident, world.ledger.intents_of(incident.id), events, since, before, after
        ))  # fmt: skip

    def _found(self, world: wiring.Wired) -> str | None:
        listed = _patiently(lambda: world.ledger.listing(limit=1))
        return listed[0].id if listed else None

    def _followed(self, world: wiring.Wired, incident_id: str) -> Incident:
        """The incident at its end; where the demo is ended before, as far as it came."""
        try:
            return self._follow(world, incident_id)
        except Interrupted as why:
            incident: Incident | None = _patiently(lambda: world.ledger.incident(incident_id))
            if incident is None:
                raise
            self.view.say(f"   the demo ends before the incident does: {why}")
            return incident

    def _follow(self, world: wiring.Wired, incident_id: str) -> Incident:
        """Tell every line of the journal as it is written, until the incident is closed or has gone to a person."""
        self.view.headline(f"Incident {incident_id}")
        told, word, longest = 0, "", 0.0
        while True:
            incident: Incident | None = _patiently(lambda: world.ledger.incident(incident_id))
            if incident is None:
                raise Interrupted(f"incident {incident_id} has vanished from the ledger")
            for event in self._new_events(world, incident_id, told):
                told = event.seq
                if event.kind == "diagnosis":
                    for line in probe_lines(world.ledger.answers(incident_id), incident.round):
                        self.view.say(line)
                self.view.event((event.at - incident.opened_at).total_seconds(), event)
            if incident.phase is Phase.CLOSED or incident.escalated_at is not None:
                return incident
            due = 0.0 if incident.pending else (incident.due_at - datetime.now(UTC)).total_seconds()
            longest = max(longest if incident.word == word else 0.0, due)
            word = incident.word
            self._wait(word, longest - due, longest)

    def _new_events(self, world: wiring.Wired, incident_id: str, told: int) -> list[StoredEvent]:
        return _patiently(lambda: world.ledger.events(incident_id, told))

    def _kept_story(self, world: wiring.Wired, incident: Incident, result: Result) -> Result:
        """The postmortem outlives the demo."""
        if (story := world.ledger.postmortem(incident.id)) is not None:
            self.stories.mkdir(parents=True, exist_ok=True)
            path = private(self.stories / f"postmortem-{incident.id}.md", story.markdown)
            self.view.say(f"   postmortem {path}")
        return result

    def stay(self, addresses: Addresses) -> None:
        """Leave everything up until Ctrl-C."""
        self.view.say(f"everything stays up until Ctrl-C: {addresses.console} and {addresses.flower}")
        while not self.stop.wait(0.5):
            if self.fleet is not None:
                self.fleet.tend()

    def _wait(self, text: str, done: float, total: float) -> None:
        """A short while. Raises Interrupted when somebody stops the demo or its eight minutes are over."""
        if self.fleet is not None:
            self.fleet.tend()
        self.view.wait(text, done, total)
        if self.stop.wait(LOOK_EVERY):
            raise Interrupted("stopped")
        if monotonic() - self.began > MOST_SECONDS:
            raise Interrupted("not done within eight minutes")


def demo(*, dry_run: bool = False, as_json: bool = False, keep: bool = False, data_dir: Path | None = None) -> int:
    """Play it, put everything away, and return 0 when the incident was resolved (rehearsed in dry run), else 1.

    Only the postmortem stays, in `demo` of the data folder; with `keep` everything stays up until Ctrl-C.
    """
    view, result = view_for(as_json=as_json), nothing_happened(0.0)
    try:
        with told_to_stop() as stop, ExitStack() as undo:
            folder, stories = undo.enter_context(_folder()), (data_dir or usual_data_dir()) / "demo"
            performance = Demo(view, folder, stories, dry_run, stop)
            try:
                result, addresses = performance.play(undo)
            finally:
                view.close()
            if keep:
                performance.stay(addresses)
    except (Interrupted, BytePortError) as problem:
        view.say(f"the demo did not end as it should: {problem}")
    if as_json:
        print(result.model_dump_json(), flush=True)
    else:
        view.say(_verdict(result))
    return 0 if result.outcome == ("rehearsed" if dry_run else "resolved") else 1


def _verdict(result: Result) -> str:
    seconds = f" {result.seconds_to_resolve:.0f} s after the signal" if result.seconds_to_resolve is not None else ""
    use = f"{result.utilization_before:.0%} -> {result.utilization_after:.0%} of the usable connections"
    said = f"{result.classification} ({result.confidence}), {result.terminated} sessions ended"
    return f"{result.outcome}{seconds}: {said}, {use}"


def _told(patient: Patient) -> str:
    now = patient.reading()
    who = f"{now.stuck} idle in transaction, {now.ours} BytePort's own"
    return f"{now.utilization:.0%} of the usable connections are in use ({now.clients} of {now.usable}: {who})"


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while the ledger is out of reach for a moment; after a few seconds that is the answer."""
    until = monotonic() + 10
    while True:
        try:
            return ask()
        except Transient:
            if monotonic() > until:
                raise


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of this performance's own, which the server's lent account may enter; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="byteport-demo-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
