"""What the members of a fleet weigh: children beside unfrozen ones, everything that `byteport up` starts, and what
thousands of incidents leave behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM
from statistics import median

import psutil
import psycopg

from byteport.embedded import folders
from byteport.embedded.supervision import HASTILY, Kept, Member
from byteport.model.signal import Signal
from byteport.model.target import Target, TargetKind
from tests.bench.meter import memory_of
from tests.bench.stage import ROOT, WORKERS, Stage, until

HOSTS = {
    "patient": {"address": "192.0.2.1", "user": "byteport", "agent": True}
}  # treated by nobody: never connected to
PAGE = "from tests.bench.heavy_page import READERS, RUNBOOK, WRITERS\n"
CLOSED = "select count(*) from byteport.incidents where phase = 'closed'"
AT_ONCE = 16  # incidents under way
REFERENCE = ("tests.bench.unfrozen", "act")


def drive(stage: Stage, count: int, within: float) -> None:
    """Put in so many incidents, a bounded number at a time, and wait until all of them have closed."""
    with psycopg.connect(stage.postgres.superuser_url, autocommit=True) as connection:

        def closed() -> int:
            (found,) = connection.execute(CLOSED).fetchone() or (0,)
            return int(found)

        before = closed()
        for n in range(count):
            until(lambda n=n: closed() - before > n - AT_ONCE, within, f"{n} of {count} incidents closed", every=0.05)  # type: ignore[misc]
            stage.world.engine.take(signal(f"valve-{before + n}"))
        until(lambda: closed() - before >= count, within, f"{count} incidents closed", every=0.05)


def signal(key: str) -> Signal:
    target = Target(kind=TargetKind.SERVICE, key=key)
    return Signal(name="bench", source="bench", target=target, fired_at=datetime.now(UTC))


def children_of(stage: Stage, count: int, incidents: int, module: Sequence[str] = ()) -> tuple[float, float]:
    """MB that one child keeps for itself (the median of so many), and MB of parent and children together, after so many
    incidents in all of them."""
    words = (*(module or ("workers", "act")), f"--concurrency={count}")
    stage.start("act", module=words)
    process = psutil.Process(stage.members["act"].pid)
    until(lambda: _are_ready(stage, count), 120, f"{count} children are ready")
    drive(stage, incidents, within=300)
    children = sorted(private_dirty(child.pid) for child in process.children(recursive=True))
    whole = memory_of([process.pid])
    stage.stop("act")
    (stage.folder / "act.log").unlink()
    return median(children), whole


def _are_ready(stage: Stage, count: int) -> bool:
    log = stage.folder / "act.log"
    return log.exists() and log.read_text("utf-8", "replace").count('"connections_kept"') >= count


def private_dirty(pid: int) -> float:
    """MB that this process wrote and shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) * 1024 / 1e6


def grown(stage: Stage, first: int, then: int) -> tuple[float, float]:
    """MB of the workers after the first so many incidents, and after so many more."""
    stage.start(*WORKERS, "beat")
    drive(stage, first, within=600)
    before = _weight(stage)
    drive(stage, then, within=4 * 3600)
    after = _weight(stage)
    stage.stop()
    return before, after


def _weight(stage: Stage) -> float:
    return memory_of([pid for name in WORKERS if (pid := stage.members[name].pid)])


@contextmanager
def up() -> Iterator[int]:
    """The process of a whole `byteport up`, with servers of its own, when each of its members has done its first work."""
    with tempfile.TemporaryDirectory(prefix="byteport-bench-up-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("BYTEPORT_")}
        argv = (sys.executable, "-P", "-m", "byteport", "--data-dir", str(folder / "data"), "up")
        told = {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        kept = Kept(Member("up", argv, told, folders.fresh_log(folder / "up.log"), folder))
        kept.start()
        try:
            until(lambda: _is_up(folder / "data"), 120, "byteport up is up")
            yield kept.pid or 0
        finally:
            kept.stop(((SIGTERM, 60.0), *HASTILY))


def _is_up(data: Path) -> bool:
    """Every worker has taken its place and the sweeps of the clock have come."""
    logs = {name: data / "logs" / f"{name}.log" for name in (*WORKERS, "beat", "web", "flower")}
    if not (data / "up.json").exists() or not all(path.exists() for path in logs.values()):
        return False
    kept = {name: logs[name].read_text("utf-8", "replace").count('"connections_kept"') for name in WORKERS}
    return kept["probe"] >= 1 and kept["decide"] >= 1 and kept["act"] >= 2
