"""What is asked of hosts, and what may be run there. A host is named as in the configuration's `hosts`.

All raise Transient (out of reach), Denied (no such host, a host key that is not known, no login) or Permanent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from byteport.model.facts.hosts import HostInventory, UnitState


class HostInventories(Protocol):
    """Looks at what a host's people have allowed there."""

    def inventory(self, host: str) -> HostInventory: ...


class HostUnits(Protocol):
    """Looks at the transient units that BytePort starts as its own user."""

    def unit(self, host: str, name: str) -> UnitState | None:
        """None where the service manager has no such unit."""
        ...


class HostUnitsStarting(Protocol):
    """Runs a fixed command detached."""

    def start(
        self, host: str, name: str, argv: Sequence[str], environment: Mapping[str, str], timeout: timedelta
    ) -> None:
        """Start `argv`, without a shell and with this environment alone, as the transient unit `name`, which is ended
        after `timeout`. A name that is taken already is Permanent: the service manager starts nothing twice."""
        ...

    def start_as_root(
        self, host: str, name: str, commands: Sequence[Sequence[str]], timeout: timedelta, stdin: bytes = b""
    ) -> None:
        """The same for commands that sudo lets through, one after the other until one fails; `stdin` is for the first,
        64 KiB at most."""
        ...
