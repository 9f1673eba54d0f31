"""A thread that hangs ends its process, and nothing less does."""

from __future__ import annotations

from queue import SimpleQueue

from workers.overdue import Overdue
from workers.roles import PROBE_LIMIT, SOFT_LIMIT


def test_a_task_counts_as_hung_only_after_twice_its_limit() -> None:
    now = {"at": 0.0}
    overdue = Overdue(clock=lambda: now["at"])
    overdue.begins("t1", "byteport.probe")
    overdue.begins("t2", "byteport.deliver")
    now["at"] = 2 * SOFT_LIMIT
    assert overdue.hung() == []
    now["at"] += 0.1
    assert overdue.hung() == [("t2", "byteport.deliver")]
    now["at"] = 2 * PROBE_LIMIT + 0.1
    assert ("t1", "byteport.probe") in overdue.hung()


def test_a_task_that_ended_is_never_hung() -> None:
    now = {"at": 0.0}
    overdue = Overdue(clock=lambda: now["at"])
    overdue.begins("t1", "byteport.probe")
    overdue.ends("t1")
    now["at"] = 1e6
    assert overdue.hung() == []


def test_an_end_without_a_beginning_is_harmless() -> None:
    overdue = Overdue()
    overdue.ends("never begun")
    assert overdue.hung() == []


def test_the_process_of_a_hung_task_is_given_up() -> None:
    now, given_up = {"at": 0.0}, SimpleQueue[str]()
    overdue = Overdue(clock=lambda: now["at"], give_up=given_up.put)
    overdue.begins("t1", "byteport.deliver")
    overdue.watch()
    now["at"] = 2 * SOFT_LIMIT + 1
    assert given_up.get(timeout=10) == "byteport.deliver"
    overdue.ends("t1")
