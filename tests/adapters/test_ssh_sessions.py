"""Many commands at a time on one connection, which has few sessions to give."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from byteport.adapters.ssh import Login, SshTransport
from byteport.adapters.transport import MOST
from byteport.errors import Transient
from tests import ssh_server
from tests.servers import eventually
from tests.ssh_server import SshServer


def to(server: SshServer) -> SshTransport:
    return SshTransport(Login("web1", "127.0.0.1", server.user, server.known_hosts, server.port, server.key))


@pytest.fixture
def sshd(tmp_path) -> Iterator[SshServer]:
    with ssh_server.running(tmp_path) as server:
        yield server


def test_more_commands_at_once_than_a_host_opens_sessions_wait_for_one_another(sshd):
    """sshd lets a connection have ten, and counts what has ended a moment longer."""
    host = to(sshd)
    with ThreadPoolExecutor(24) as pool:
        told = [run.result().stdout for run in [pool.submit(host.run, ("echo", str(n))) for n in range(240)]]
    assert told == [f"{n}\n" for n in range(240)], sshd.log
    assert sshd.logins() == 1


def test_what_ends_before_it_has_read_its_input_takes_no_other_command_with_it(sshd):
    """sshd ends the connection over a word about a channel that is closed."""
    host = to(sshd)
    words = (("true",), ("head", "-c", "1"), ("cat",), ("false",)) * 40
    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(host.run, argv, stdin=b"x" * 300_000) for argv in words]
        told = [(run.result().status, len(run.result().stdout)) for run in runs]
    assert told == [(0, 0), (0, 1), (0, MOST), (1, 0)] * 40
    assert sshd.logins() == 1
    assert "nonexistent" not in sshd.log


@pytest.fixture
def one_at_a_time(tmp_path) -> Iterator[SshTransport]:
    """A host that opens one session for a connection, as a strict administrator has it."""
    with ssh_server.running(tmp_path, sessions=1) as server:
        host = to(server)
        yield host
        host.close()


def test_a_host_that_opens_fewer_sessions_is_asked_again_within_the_time_there_is(one_at_a_time, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        runs = pool.submit(one_at_a_time.run, ("sh", "-c", f"touch {tmp_path}/up; sleep 3; echo slow"))
        eventually((tmp_path / "up").exists)
        with pytest.raises(Transient, match="no further session"):
            one_at_a_time.run(("true",), within=timedelta(seconds=0.5))
        assert one_at_a_time.run(("echo", "next")).stdout == "next\n"
        assert runs.result().stdout == "slow\n"


def test_sessions_that_never_end_do_not_take_the_host_away(one_at_a_time, tmp_path):
    """Whatever hangs there is left with the connection that it has used up."""
    with pytest.raises(Transient, match="did not end in time"):
        one_at_a_time.run(("sh", "-c", "trap '' HUP TERM; sleep 30"), within=timedelta(seconds=0.5))
    assert one_at_a_time.run(("echo", "still here"), within=timedelta(seconds=10)).stdout == "still here\n"
