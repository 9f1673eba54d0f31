"""One member of the fleet: restarted after its end, later each time, and gone when it is told to go."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from byteport.embedded.supervision import Kept, Member
from tests.servers import eventually


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """keep(code, clock) -> a member that runs this Python code; ended afterwards."""
    kept: list[Kept] = []

    def start(code: str, clock: Callable[[], float] = lambda: 0.0) -> Kept:
        member = Member("one", (sys.executable, "-c", code), dict(os.environ), tmp_path / "one.log", tmp_path)
        kept.append(Kept(member, clock))
        kept[-1].start()
        return kept[-1]

    yield start
    for one in kept:
        one.stop(())


def ended(one: Kept) -> str:
    """What the first look after its end says."""
    return eventually(one.tend, within=10)


def test_a_member_that_ended_is_started_again_after_a_pause(keep: Callable[..., Kept]) -> None:
    now = {"at": 0.0}
    one = keep("raise SystemExit(3)", lambda: now["at"])
    assert "ended with code 3; again in 1 s" in ended(one)
    assert one.tend() == ""
    assert one.pid is None
    now["at"] = 1.0
    assert one.tend() == "one started again"
    assert one.restarts == 1


def test_the_pause_grows_while_it_goes_on_ending_and_never_beyond_half_a_minute(keep: Callable[..., Kept]) -> None:
    now = {"at": 0.0}
    one = keep("raise SystemExit(3)", lambda: now["at"])
    pauses = []
    for _ in range(7):
        ended(one)
        pauses.append(one.resume_at - now["at"])
        now["at"] = one.resume_at
        one.tend()
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_member_that_ran_for_long_begins_with_a_short_pause_again(keep: Callable[..., Kept]) -> None:
    now = {"at": 0.0}
    one = keep("import sys; sys.stdin.read(); raise SystemExit(1)", lambda: now["at"])
    one.ends_in_a_row = 5
    now["at"] = 61.0
    assert "again in 1 s" in ended(one)


def test_a_killed_member_is_told_of_by_its_signal(keep: Callable[..., Kept]) -> None:
    one = keep("import time; time.sleep(60)")
    assert one.pid is not None
    os.kill(one.pid, signal.SIGKILL)
    assert "ended by signal 9" in ended(one)


def test_a_member_that_ignores_every_signal_is_gone_after_stop(keep: Callable[..., Kept], tmp_path: Path) -> None:
    code = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 3, 15)]; print(1, flush=True); time.sleep(60)"
    one = keep(code)
    eventually(lambda: "1" in (tmp_path / "one.log").read_text(), within=10)
    pid = one.pid
    one.stop(((signal.SIGTERM, 0.1), (signal.SIGQUIT, 0.1)))
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


def test_a_stopped_member_is_not_started_again(keep: Callable[..., Kept]) -> None:
    one = keep("import time; time.sleep(60)", lambda: 1e9)
    one.stop()
    assert one.tend() == ""
    assert one.pid is None
