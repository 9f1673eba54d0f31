"""Running commands on hosts: what every transport promises, on this machine and over a real sshd."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from byteport.adapters.hosts import Hosts
from byteport.adapters.local_host import LocalTransport
from byteport.adapters.ssh import Login, SshTransport
from byteport.adapters.transport import MOST, Transport
from byteport.errors import Denied, Permanent, Transient
from byteport.settings.hosts import HostSection
from tests import ssh_server
from tests.servers import eventually
from tests.ssh_server import SshServer, keygen

WORDS = (
    "", " ", "two words", "it's", '"quoted"', "$HOME", "$(id)", "`id`", "a\nb", "-n", "--", "*", "~", "\\", "ü→😀", "a;b", "#",
)  # fmt: skip
ECHO = ("python3", "-c", "import sys; sys.stdout.write('\\0'.join(sys.argv[1:]))")


@pytest.fixture
def sshd(tmp_path) -> Iterator[SshServer]:
    with ssh_server.running(tmp_path) as server:
        yield server


@pytest.fixture
def over(sshd) -> Iterator[Callable[..., SshTransport]]:
    """Transports to that server, as a test wants them."""
    made: list[SshTransport] = []

    def make(**more) -> SshTransport:
        told = {
            "name": "web1", "address": "127.0.0.1", "user": sshd.user, "known_hosts": sshd.known_hosts,
            "port": sshd.port, "key_file": sshd.key, "connect": timedelta(seconds=5),
        } | more  # fmt: skip
        made.append(SshTransport(Login(**told)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["local", "ssh"])
def host(request) -> Transport:
    return LocalTransport() if request.param == "local" else request.getfixturevalue("over")()


# ── what both promise ────────────────────────────────────────────────────────────────────────────────────────────────


def test_words_arrive_as_they_are(host):
    told = host.run((*ECHO, *WORDS))
    assert told.status == 0
    assert told.stdout.split("\0") == list(WORDS)


def test_status_and_both_streams_are_told(host):
    told = host.run(("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert (told.status, told.stdout, told.stderr, told.truncated) == (7, "out\n", "err\n", False)


def test_what_does_not_exist_is_told_by_its_status(host):
    assert host.run(("/nowhere/tool",)).status == 127


def test_output_is_bounded_and_read_to_its_end(host):
    told = host.run(("sh", "-c", "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3"))
    assert (told.status, len(told.stdout), len(told.stderr), told.truncated) == (3, MOST, MOST, True)


@pytest.mark.parametrize("argv", [("yes",), ("sleep", "60"), ("sh", "-c", "trap '' HUP TERM; sleep 60")])
def test_what_does_not_end_costs_its_time(host, argv):
    began = time.monotonic()
    with pytest.raises(Transient, match="did not end in time"):
        host.run(argv, within=timedelta(seconds=0.5))
    assert time.monotonic() - began < 5


def test_what_leaves_something_running_is_over_when_it_ends(host):
    told = host.run(("sh", "-c", "sleep 60 & echo left"), within=timedelta(seconds=10))
    assert (told.status, told.stdout) == (0, "left\n")


def test_what_is_no_utf8_is_shown_as_far_as_it_goes(host):
    assert host.run(("printf", "a\\377b")).stdout == "a\ufffdb"


def test_a_command_reads_what_it_is_given_and_nothing_else(host):
    assert host.run(("cat",), stdin=b"x" * 500_000).stdout == "x" * MOST
    assert host.run(("cat",)).stdout == ""


def test_a_command_that_does_not_read_is_not_waited_for(host):
    assert host.run(("true",), stdin=b"x" * 5_000_000).status == 0


@pytest.mark.parametrize("argv", [(), ("",), ("echo", "a\0b")])
def test_what_no_command_line_can_hold_is_refused(host, argv):
    with pytest.raises(Permanent):
        host.run(argv)


def test_nothing_of_our_environment_goes_along(host, monkeypatch):
    monkeypatch.setenv("BYTEPORT_DATABASE_URL", "postgresql://canary")
    assert "canary" not in host.run(("env",)).stdout


def test_a_signal_is_told_as_a_negative_status(host):
    assert host.run(("sh", "-c", "kill -9 $$")).status < 0


# ── over SSH ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_threads_share_one_connection(sshd, over):
    host = over()
    told: list[str] = []
    threads = [threading.Thread(target=lambda n=n: told.append(host.run(("echo", str(n))).stdout)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [f"{n}\n" for n in range(8)]
    assert sshd.logins() == 1


def test_a_connection_that_died_is_made_anew_and_nothing_is_run_twice(sshd, over, tmp_path):
    host = over()
    assert host.run(("true",)).status == 0
    sshd.stop()
    with pytest.raises(Transient):
        host.run(("true",))
    sshd.start()
    assert host.run(("sh", "-c", f"echo once >> {tmp_path}/count")).status == 0
    assert (tmp_path / "count").read_text() == "once\n"
    assert sshd.logins() == 2


def test_a_host_that_goes_down_during_a_command_is_told_and_the_command_not_sent_again(sshd, over, tmp_path):
    host = over()
    count = tmp_path / "count"
    begun = lambda: count.exists() and count.read_text() == "once\n"  # noqa: E731
    threading.Thread(target=lambda: (eventually(begun), sshd.hang_up())).start()
    with pytest.raises(Transient, match="whether it has run is not known"):
        host.run(("sh", "-c", f"echo once >> {tmp_path}/count; sleep 20"))
    assert host.run(("true",)).status == 0
    assert (tmp_path / "count").read_text() == "once\n"


def test_a_host_key_that_nobody_vouched_for_is_refused_and_not_learnt(sshd, over):
    sshd.known_hosts.write_text("")
    with pytest.raises(Denied, match="not in"):
        over().run(("true",))
    assert sshd.known_hosts.read_text() == ""
    assert sshd.logins() == 0


def test_another_host_key_is_refused(sshd, over):
    sshd.vouch("other_key")
    with pytest.raises(Denied, match="another than in known_hosts"):
        over().run(("true",))
    assert sshd.logins() == 0


def test_a_hashed_name_is_known_too(sshd, over):
    sshd.vouch("host_key", hashed=True)
    assert over().run(("true",)).status == 0


def test_a_missing_known_hosts_is_refused(over, tmp_path):
    with pytest.raises(Denied, match="known_hosts"):
        over(known_hosts=tmp_path / "none").run(("true",))


def test_a_key_that_is_not_let_in_is_denied(sshd, over):
    with pytest.raises(Denied, match="is not let in"):
        over(key_file=sshd.folder / "other_key").run(("true",))


def test_a_key_that_cannot_be_read_is_denied_without_its_text(sshd, over, tmp_path):
    (tmp_path / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n")
    with pytest.raises(Denied, match="its key cannot be used") as told:
        over(key_file=tmp_path / "broken").run(("true",))
    assert "c2VjcmV0" not in str(told.value)


def test_a_certificate_lets_in_where_the_host_trusts_its_authority(tmp_path):
    with ssh_server.running(tmp_path, authority=True) as server:
        (tmp_path / "authorized_keys").write_text("")
        keygen(
            "-s",
            str(tmp_path / "other_key"),
            "-I",
            "byteport",
            "-n",
            server.user,
            str(tmp_path / "user_key.pub"),
            make=False,
        )
        login = Login("web1", "127.0.0.1", server.user, server.known_hosts, server.port, server.key)
        certified = SshTransport(Login(**{**login.__dict__, "certificate_file": tmp_path / "user_key-cert.pub"}))
        assert certified.run(("true",)).status == 0
        certified.close()
        (tmp_path / "user_key-cert.pub").unlink()
        with pytest.raises(Denied):
            SshTransport(login).run(("true",))


def test_a_host_behind_another_is_reached_through_it_and_its_key_is_checked(sshd, over, tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    with ssh_server.running(folder) as inner:
        (folder / "authorized_keys").write_text((sshd.folder / "user_key.pub").read_text())
        jump = over()
        there = over(name="web2", port=inner.port, known_hosts=inner.known_hosts, through=jump)
        assert there.run(("echo", "inside")).stdout == "inside\n"
        assert (sshd.logins(), inner.logins()) == (1, 1)
        inner.vouch("other_key")
        with pytest.raises(Denied, match="another than in known_hosts"):
            over(name="web2", port=inner.port, known_hosts=inner.known_hosts, through=jump).run(("true",))
        there.close()


def test_a_connection_that_rested_too_long_is_not_trusted(sshd, over):
    host = over(idle=timedelta(minutes=5))
    now = [0.0]
    host.clock = lambda: now[0]
    host.run(("true",))
    now[0] = 299.0
    host.run(("true",))
    assert sshd.logins() == 1
    now[0] = 900.0
    host.run(("true",))
    assert sshd.logins() == 2


def test_who_takes_a_connection_and_never_speaks_costs_the_time_to_connect(over):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(Transient):
            over(port=silent.getsockname()[1], connect=timedelta(seconds=0.5)).run(("true",))
        assert time.monotonic() - began < 5


def test_nobody_there_is_out_of_reach(over):
    with pytest.raises(Transient, match="web1"):
        over(port=1).run(("true",))


# ── the configuration's hosts ────────────────────────────────────────────────────────────────────────────────────────


def test_hosts_are_made_once_and_those_that_are_not_configured_are_denied(sshd):
    section = HostSection(
        address="127.0.0.1", port=sshd.port, user=sshd.user, key_file=sshd.key, known_hosts=sshd.known_hosts
    )
    hosts = Hosts({"web1": section, "here": HostSection(transport="local")})
    assert hosts.get("web1") is hosts.get("web1")
    assert hosts.get("web1").run(("echo", "x")).stdout == "x\n"
    assert hosts.get("here").run(("hostname",)).stdout.strip() == os.uname().nodename
    with pytest.raises(Denied, match="none of the configuration's hosts"):
        hosts.get("web9")
    hosts.close()
