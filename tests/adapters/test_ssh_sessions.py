"""Many commands at one host at the same time, of which its sshd allows so many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from byteport.adapters.ssh import Login, SshTransport
from byteport.errors import Transient
from tests import ssh_server
from tests.ssh_server import SshServer

LONG = timedelta(seconds=60)


def at(server: SshServer) -> SshTransport:
    return SshTransport(Login("web1", "127.0.0.1", server.user, server.known_hosts, server.port, server.key))


def test_more_commands_than_a_host_allows_at_once_wait_for_one_another(tmp_path):
    with ssh_server.running(tmp_path, bare=True) as server:
        host = at(server)
        with ThreadPoolExecutor(24) as crowd:
            words = [("sh", "-c", f"sleep 0.5; echo {n}") for n in range(24)]
            told = list(crowd.map(lambda argv: host.run(argv, within=LONG).stdout, words))
        assert told == [f"{n}\n" for n in range(24)]
        assert server.logins() == 1
        host.close()


def test_who_is_refused_a_session_costs_the_others_nothing(tmp_path):
    """Several refusals at once: paramiko loses the reasons of some, which must not look like a dead connection."""
    with ssh_server.running(tmp_path, sessions=2, bare=True) as server:
        host = at(server)

        def told(n: int) -> str:
            try:
                return host.run(("sh", "-c", f"sleep 1; echo {n}"), within=LONG).stdout
            except Transient as refused:
                return str(refused)

        host.run(("true",))
        with ThreadPoolExecutor(8) as crowd:
            answers = list(crowd.map(told, range(8)))
        served = [n for n, answer in enumerate(answers) if answer == f"{n}\n"]
        assert len(served) >= 2, answers
        assert all("no further session" in answer for n, answer in enumerate(answers) if n not in served), answers
        assert server.logins() == 1
        host.close()
