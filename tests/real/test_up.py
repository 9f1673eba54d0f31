"""`byteport up` as a person uses it: addresses, one at a time, a clean end, data that stays, nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.servers import eventually, roomy_folder

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
MEMBERS = {"probe", "act", "decide", "beat", "web", "flower"}


@dataclass
class Up:
    """A running `byteport up`."""

    process: subprocess.Popen[str]
    folder: Path

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        return found

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def family(self) -> list[psutil.Process]:
        """Every process below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, how: signal.Signals = signal.SIGINT, within: float = 60) -> int:
        self.process.send_signal(how)
        return self.process.wait(timeout=within)


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "byteport", "--data-dir", str(folder), *words]


def clean_environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    return {**inherited, "BYTEPORT_WEB__PORT": "0", "PYTHONPATH": str(Path(__file__).parents[2])}


def byteport(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command on the same folder, to its end."""
    return subprocess.run(
        command(folder, *words),
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """Start it and wait until it greets; whatever is left of it is ended by its id."""
    with (folder / "up.out").open("a") as out:
        process = subprocess.Popen(
            command(folder, "up"), env=clean_environment(), stdout=out, stderr=subprocess.STDOUT, text=True, cwd=folder
        )
    running = Up(process, folder)
    family: list[psutil.Process] = []
    try:
        eventually(lambda: (folder / "up.json").exists() and running.told["pid"] == process.pid, within=60, every=0.1)
        eventually(lambda: _answers(running.told["console"] + "/healthz") == 200, within=60, every=0.2)
        family = running.family()
        yield running
    except AssertionError as failure:
        raise AssertionError(f"{failure}\n{(folder / 'up.out').read_text()[-3000:]}") from failure
    finally:
        if process.poll() is None:
            running.end(signal.SIGTERM)
        for one in family:
            if one.is_running():
                one.kill()


def _answers(url: str, user: str = "", password: str = "") -> int:
    """The status; 0 while nobody listens."""
    try:
        return httpx.get(url, auth=(user, password) if user else None, timeout=5).status_code
    except httpx.TransportError:
        return 0


@pytest.fixture
def folder() -> Iterator[Path]:
    with roomy_folder() as made:
        yield made


def test_everything_is_up_alone_private_and_gone_after_ctrl_c(folder: Path) -> None:
    with up(folder) as running:
        told = running.told
        assert stat.S_IMODE((folder / "up.json").stat().st_mode) == 0o600
        password = (folder / "flower-password").read_text().strip()
        assert eventually(lambda: _answers(told["flower"] + "/tasks", "byteport", password) == 200, within=60)
        assert _answers(told["flower"] + "/tasks") == 401
        assert _answers(told["console"] + "/api/v1/incidents") in (401, 403)

        secrets = {told["token"], password, *(part for part in told["database_url"].split(":")[2].split("@")[:1])}
        lines = " ".join(" ".join(one.cmdline()) for one in running.family())
        assert not [secret for secret in secrets if secret in lines]

        second = byteport(folder, "up")
        assert second.returncode == 1
        assert "is up on" in second.stderr
        assert str(running.process.pid) in second.stderr

        assert {name for name in MEMBERS if running.log(name)} >= MEMBERS - {"web"}
        family = running.family()
        assert running.end() == 0
    assert not [one for one in family if one.is_running() and one.status() != "zombie"]
    assert not (folder / "up.json").exists()


def test_a_second_up_finds_its_data_again(folder: Path) -> None:
    with up(folder) as running:
        paused = byteport(folder, "pause", "--why", "a test of memory")
        assert paused.returncode == 0, paused.stderr
        password = (folder / "flower-password").read_text()
        assert running.end(signal.SIGTERM) == 0
    with up(folder) as again:
        resumed = byteport(folder, "resume", "--json")
        assert resumed.returncode == 0, resumed.stderr
        assert json.loads(resumed.stdout)["ended"] == 1
        assert (folder / "flower-password").read_text() == password
        assert again.end() == 0


def test_nobody_is_left_when_the_supervisor_is_killed(folder: Path) -> None:
    with up(folder) as running:
        family = running.family()
        assert len(family) >= 8
        running.process.kill()
        running.process.wait(timeout=10)

        def nobody_is_left() -> bool:
            left = [words for one in family if (words := words_of(one))]
            assert left == []
            return True

        eventually(nobody_is_left, within=60, every=0.2)


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing where it has ended, which it may do between two questions."""
    try:
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return process.cmdline() if alive else []
    except psutil.NoSuchProcess:  # a zombie too
        return []


def test_a_worker_that_dies_is_started_again_and_told_of(folder: Path) -> None:
    with up(folder) as running:
        (probe,) = (one for one in running.family() if one.cmdline()[-1:] == ["probe"])
        probe.kill()
        said = folder / "up.out"
        assert eventually(lambda: "probe started again" in said.read_text(), within=20)
        assert "probe ended by signal 9" in said.read_text()
        assert running.end() == 0
