"""`byteport demo` as a person calls it: for real, in real time, with nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers import eventually, roomy_folder

pytestmark = [pytest.mark.real, pytest.mark.timeout(560)]
EIGHT_MINUTES = 480.0
KEYS = {
    "outcome", "classification", "confidence", "terminated", "cancelled", "utilization_before", "utilization_after",
    "seconds_to_detect", "seconds_to_act", "seconds_to_resolve", "escalations",
}  # fmt: skip


@dataclass
class Performance:
    """A running demo with its own folder for temporary files, so that what it leaves behind is seen."""

    process: subprocess.Popen[str]
    folder: Path
    began: float

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def result(self, within: float) -> dict[str, Any]:
        """The last line of standard output when it has ended."""
        self.process.wait(timeout=within)
        found: dict[str, Any] = json.loads((self.folder / "out").read_text().splitlines()[-1])
        return found


@contextmanager
def demo(*words: str) -> Iterator[Performance]:
    with roomy_folder() as folder:
        temporary = folder / "tmp"
        temporary.mkdir(mode=0o711)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
        environment |= {"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "byteport", "--data-dir", str(folder / "data"), "demo", "--json", *words],
                env=environment, stdout=out, stderr=err, text=True, cwd=tempfile.gettempdir(),
            )  # fmt: skip
        running = Performance(process, folder, time.monotonic())
        try:
            yield running
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


def test_the_demo_resolves_a_real_incident_and_its_dry_run_touches_nobody() -> None:
    """Both at once, on one machine: they share nothing, and together they take no longer than one."""
    with demo() as live, demo("--dry-run") as dry:
        done, shown = live.result(EIGHT_MINUTES), dry.result(EIGHT_MINUTES)
        assert time.monotonic() - live.began < EIGHT_MINUTES
        assert (live.process.returncode, dry.process.returncode) == (0, 0), live.said() + dry.said()

        assert set(done) == set(shown) == KEYS
        assert (done["outcome"], done["classification"], done["confidence"]) == ("resolved", "idle_in_tx_backlog", 0.91)
        assert done["utilization_before"] >= 0.94
        assert done["utilization_after"] < 0.70
        assert (done["terminated"], done["cancelled"], done["escalations"]) == (20, 0, 0)
        assert 60 <= done["seconds_to_detect"] <= 90
        assert done["seconds_to_act"] < 15
        assert 30 <= done["seconds_to_resolve"] < 60  # the cap lets twenty go, and that is enough

        assert (shown["outcome"], shown["classification"], shown["terminated"]) == (
            "rehearsed",
            "idle_in_tx_backlog",
            0,
        )
        assert shown["utilization_after"] == shown["utilization_before"] >= 0.94
        assert re.search(r"kill_cap allows", dry.said())

        (story,) = (live.folder / "data" / "demo").glob("postmortem-*.md")
        assert str(story) in live.said()
        assert "idle_in_tx_backlog" in story.read_text()
        assert re.search(r"console http://127\.0\.0\.1:\d+  token \S+", live.said())
        assert re.search(r"flower  http://127\.0\.0\.1:\d+", live.said())
        assert [list((one.folder / "tmp").iterdir()) for one in (live, dry)] == [[], []]


def test_a_demo_that_is_stopped_puts_everything_away_and_says_so() -> None:
    with demo() as stopped:
        eventually(lambda: "the sessions age" in stopped.said(), within=120, every=0.2)
        family = stopped.family()
        assert len(family) >= 8
        stopped.process.send_signal(signal.SIGINT)
        result = stopped.result(90)
        assert (stopped.process.returncode, result["outcome"], result["terminated"]) == (1, "not_detected", 0)
        assert set(result) == KEYS
        assert "stopped" in stopped.said()
        assert not [one for one in family if one.is_running() and one.status() != "zombie"]
        assert list((stopped.folder / "tmp").iterdir()) == []
