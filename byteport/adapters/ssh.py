"""A host over SSH: one connection for a process, many commands on it, and no key that nobody vouched for.

A command whose fate is not known is never sent again by itself; whoever asked decides. A command that outlives its time
loses its channel; what it started there may run on (sshd only hangs up), so that what must end is run as a unit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import paramiko

from byteport.adapters.transport import COMMAND, MOST_DROPPED, Completed, Kept, quoted
from byteport.errors import Denied, Permanent, Transient

KEEPALIVE = 15
CHUNK = 65_536
MOST_SESSIONS = 8  # at once; sshd's MaxSessions is ten, and counts what has outlived its time
UNNAMED = "Unable to open channel"  # what of several refusals at once paramiko tells those whose reason another took
LINGER = 0.5  # seconds for the rest of the output of a command that has ended; what it left running keeps it open


@dataclass(frozen=True)
class Login:
    """Where a host is, and as whom; `through` opens a way to it where it has no direct one."""

    name: str
    address: str
    user: str
    known_hosts: Path
    port: int = 22
    key_file: Path | None = None
    certificate_file: Path | None = None
    agent: bool = False
    connect: timedelta = timedelta(seconds=5)
    command: timedelta = COMMAND
    idle: timedelta = timedelta(minutes=5)
    through: SshTransport | None = None


@dataclass
class SshTransport:
    """Connects when it is first used; threads share the connection."""

    login: Login
    clock: Callable[[], float] = time.monotonic
    _client: paramiko.SSHClient | None = None
    _used_at: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _sessions: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_SESSIONS))

    def run(self, argv: Sequence[str], *, within: timedelta | None = None, stdin: bytes = b"") -> Completed:
        """See `Transport.run`."""
        line = quoted(argv)
        until = time.monotonic() + (within or self.login.command).total_seconds()
        with self._translated(), self._one_of_few(until):
            channel = self._channel(until)
            try:
                channel.exec_command(line)
                return self._heard(channel, stdin, until, argv[0])
            finally:
                channel.close()

    def close(self) -> None:
        """Let go of the connection; the next command makes a new one."""
        with self._turn:
            self._drop()

    def way_to(self, address: str, port: int, within: float) -> paramiko.Channel:
        """A connection from there to somewhere else, for a host behind this one."""
        with self._translated():
            transport = self._transport()
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=within)

    @contextmanager
    def _one_of_few(self, until: float) -> Iterator[None]:
        """A server refuses more sessions than it allows: whoever comes on top waits for one to end."""
        if not self._sessions.acquire(timeout=max(0.0, until - time.monotonic())):
            raise Transient(f"{self.login.name}: {MOST_SESSIONS} commands run there already, and none of them ended")
        try:
            yield
        finally:
            self._sessions.release()

    def _channel(self, until: float) -> paramiko.Channel:
        """A session. Nothing was sent yet: a connection that turns out to be dead is made anew, once."""
        for attempt in (1, 2):
            transport = self._transport()
            try:
                return transport.open_session(timeout=max(0.1, min(until - time.monotonic(), 10.0)))
            except paramiko.ChannelException as refused:
                raise Transient(f"{self.login.name}: it opens no further session: {refused}") from None
            except (paramiko.SSHException, EOFError, OSError) as problem:
                if UNNAMED in str(problem) and transport.is_active():
                    raise Transient(f"{self.login.name}: it opens no further session") from None
                with self._turn:
                    self._drop(transport)
                if attempt == 2:
                    raise
        raise Transient(f"{self.login.name}: no session")

    def _transport(self) -> paramiko.Transport:
        with self._turn:
            known = self._client.get_transport() if self._client is not None else None
            rested = self.clock() - self._used_at > self.login.idle.total_seconds()
            if known is None or not known.is_active() or rested:
                self._drop()
                self._client = self._connected()
                known = self._client.get_transport()
            self._used_at = self.clock()
            if known is None:
                raise Transient(f"{self.login.name}: the connection has gone")
            return known

    def _drop(self, only: paramiko.Transport | None = None) -> None:
        """Close the connection, or only if it is still that one."""
        if self._client is None or (only is not None and self._client.get_transport() is not only):
            return
        with suppress(Exception):
            self._client.close()
        self._client = None

    def _connected(self) -> paramiko.SSHClient:
        login, patience = self.login, self.login.connect.total_seconds()
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.load_host_keys(str(login.known_hosts.expanduser()))
        except OSError as missing:
            raise Denied(f"{login.name}: known_hosts {login.known_hosts}: {missing.strerror}") from None
        way = login.through.way_to(login.address, login.port, patience) if login.through is not None else None
        try:
            client.connect(
                login.address, login.port, login.user, pkey=self._key(), look_for_keys=False, allow_agent=login.agent,
                timeout=patience, banner_timeout=patience, auth_timeout=patience, channel_timeout=patience, sock=way,
            )  # fmt: skip
        except BaseException:
            client.close()
            if way is not None:
                way.close()
            raise
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE)
        return client

    def _key(self) -> paramiko.PKey | None:
        if self.login.key_file is None:
            return None
        try:
            key = paramiko.PKey.from_path(self.login.key_file.expanduser())
            if self.login.certificate_file is not None:
                key.load_certificate(str(self.login.certificate_file.expanduser()))
        except (OSError, ValueError, TypeError, paramiko.SSHException) as wrong:
            raise Denied(f"{self.login.name}: its key cannot be used: {type(wrong).__name__}: {wrong}") from None
        return key

    def _heard(self, channel: paramiko.Channel, stdin: bytes, until: float, name: str) -> Completed:
        """Both streams are drained together, so that neither fills its window and stops the command."""
        out, err, came = Kept(), Kept(), threading.Event()
        channel.in_buffer.set_event(came)
        channel.in_stderr_buffer.set_event(came)
        writer = self._fed(channel, stdin)
        ended: float | None = None
        while True:
            read = self._drained(channel, out, err)
            if channel.exit_status_ready() and ended is None:
                ended = time.monotonic()
            over = channel.eof_received or channel.closed or (ended is not None and time.monotonic() - ended > LINGER)
            if over and not read:
                break
            if time.monotonic() >= until or out.seen + err.seen > MOST_DROPPED:
                raise Transient(f"{self.login.name}: {name} did not end in time; it may run on there")
            if not read:
                came.wait(min(0.1, max(0.0, until - time.monotonic())))
        writer.join(1.0)
        return self._ended(channel, out, err, until, name)

    def _ended(self, channel: paramiko.Channel, out: Kept, err: Kept, until: float, name: str) -> Completed:
        """The exit status comes before or after the end of the output; a signal sends none, nor does a cut line."""
        channel.status_event.wait(max(0.0, min(until - time.monotonic(), 5.0)))
        if not channel.exit_status_ready():
            raise Transient(f"{self.login.name}: {name} did not end in time; it may run on there")
        status = channel.recv_exit_status()
        transport = channel.get_transport()
        if status < 0 and (transport is None or not transport.is_active()):
            raise Transient(f"{self.login.name}: cut off during {name}: whether it has run is not known")
        return Completed(status, out.text, err.text, out.cut or err.cut)

    def _fed(self, channel: paramiko.Channel, stdin: bytes) -> threading.Thread:
        def feed() -> None:
            with suppress(OSError, EOFError, paramiko.SSHException):
                if stdin:
                    channel.sendall(stdin)
                channel.shutdown_write()

        writer = threading.Thread(target=feed, name=f"stdin of {self.login.name}", daemon=True)
        writer.start()
        return writer

    @staticmethod
    def _drained(channel: paramiko.Channel, out: Kept, err: Kept) -> bool:
        """What is there of both; whether there was anything."""
        told, complained = channel.recv_ready(), channel.recv_stderr_ready()
        if told:
            out.add(channel.recv(CHUNK))
        if complained:
            err.add(channel.recv_stderr(CHUNK))
        return bool(told or complained)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        name = self.login.name
        try:
            yield
        except paramiko.BadHostKeyException:
            raise Denied(f"{name}: its host key is another than in known_hosts; it may be another machine") from None
        except paramiko.AuthenticationException as refused:
            raise Denied(f"{name}: {self.login.user} is not let in: {_said(refused)}") from None
        except paramiko.SSHException as problem:
            if "not found in known_hosts" in str(problem):
                raise Denied(f"{name}: its host key is not in {self.login.known_hosts}; add it by hand") from None
            raise Transient(f"{name}: {_said(problem)}") from None
        except (OSError, EOFError) as problem:
            raise Transient(f"{name}: out of reach: {_said(problem)}") from None
        except (Denied, Transient, Permanent):
            raise


def _said(problem: Any) -> str:
    return str(problem)[:200] or type(problem).__name__
