"""Whether a process of this machine is dead can be told for certain; of any other nothing is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from byteport.adapters.processes import _is_nobody, is_dead, this_machine, this_process
from tests.servers import eventually

SAYS_ITS_NAME = "from byteport.adapters.processes import this_process as t; print(t(), flush=True); input()"


def child() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SAYS_ITS_NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_living_process_is_not_dead_and_neither_is_one_that_stands_still() -> None:
    process, name = child()
    try:
        assert not is_dead(name)
        process.send_signal(signal.SIGSTOP)
        assert not is_dead(name)
    finally:
        process.kill()
        process.communicate()


def test_a_killed_one_is_dead_before_and_after_its_parent_has_heard_of_it() -> None:
    process, name = child()
    process.kill()
    assert eventually(lambda: is_dead(name), within=10, every=0.01)
    process.communicate()
    assert is_dead(name)


def test_what_proc_does_not_show_is_asked_of_the_kernel() -> None:
    """Process 1 lives, and is nobody's to look at who is hidden from it."""
    assert not _is_nobody(1)
    process, _ = child()
    assert not _is_nobody(process.pid)
    process.kill()
    process.communicate()
    assert _is_nobody(process.pid)


def test_another_life_of_the_same_id_is_another_process() -> None:
    machine_and_pid, _, began = this_process().rpartition("/")
    assert is_dead(f"{machine_and_pid}/{int(began) - 1}")
    assert not is_dead(f"{machine_and_pid}/{began}")


def test_a_forked_child_has_a_name_of_its_own() -> None:
    ours, (reading, writing) = this_process(), os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, this_process().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reading, 500).decode()
    assert theirs.startswith(this_machine())
    assert theirs != ours


@pytest.mark.parametrize(
    "name", ["", "another-boot/4026531836/1/1", f"{this_machine()}", f"{this_machine()}x/1", f"{this_machine()}1"]
)
def test_of_whom_nothing_is_known_nothing_is_said(name: str) -> None:
    assert not is_dead(name)
