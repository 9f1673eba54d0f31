"""What is said before TLS begins, by protocol. Raises OSError where the other side does not come along."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Protocol

LONGEST_LINE = 512
MOST_LINES = 100
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, "SSLRequest"


class Timed(Protocol):
    """A connection that has a last moment."""

    def timed(self) -> socket.socket:
        """Its socket, timed for one move. Raises TimeoutError after the last moment."""
        ...


def none(_line: Timed) -> None:
    """TLS from the first byte."""


def postgres(line: Timed) -> None:
    """SSLRequest, answered with one byte."""
    line.timed().sendall(SSL_REQUEST)
    if line.timed().recv(1) != b"S":
        raise OSError("PostgreSQL offers no TLS")


def smtp(line: Timed) -> None:
    """RFC 3207."""
    _reply(line, b"220")
    line.timed().sendall(b"EHLO byteport.invalid\r\n")
    if not any(told[4:].strip().upper() == b"STARTTLS" for told in _reply(line, b"250")):
        raise OSError("the mail server offers no STARTTLS")
    line.timed().sendall(b"STARTTLS\r\n")
    _reply(line, b"220")


def _reply(line: Timed, wanted: bytes) -> list[bytes]:
    """All lines of one reply, the last of which has no hyphen behind its number."""
    told: list[bytes] = []
    while len(told) < MOST_LINES:
        told.append(_line(line))
        if not told[-1].startswith(wanted):
            raise OSError(f"{wanted.decode()} was expected, not {told[-1][:40]!r}")
        if told[-1][3:4] != b"-":
            return told
    raise OSError("a reply without an end")


def _line(line: Timed) -> bytes:
    """Byte by byte, so that nothing of the handshake is taken."""
    told = bytearray()
    while not told.endswith(b"\n"):
        byte = line.timed().recv(1)
        if not byte or len(told) > LONGEST_LINE:
            raise OSError("the connection ended in the middle of a line" if not byte else "a line without an end")
        told += byte
    return bytes(told)


STEPS: Mapping[str, Callable[[Timed], None]] = {"none": none, "postgres": postgres, "smtp": smtp}
