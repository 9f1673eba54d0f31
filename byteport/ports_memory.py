"""What is asked of a host's memory, and of those who remember how much was held by whom.

All raise Transient (out of reach), Denied (no such host, no login) or Permanent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from byteport.model.facts.memory import Audit, Group, Groups, History, KernelLines, Meminfo, Samples, Stall, TopMemory
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints
from byteport.model.facts.services import Release


class HostMemoryReading(Protocol):
    """Looks at a host's memory."""

    def meminfo(self, host: str) -> Meminfo: ...
    def stall(self, host: str) -> Stall | None:
        """None where the kernel does not count it."""
        ...

    def top(self, host: str) -> TopMemory: ...
    def groups(self, host: str) -> Groups: ...
    def group(self, host: str, name: str) -> Group | None:
        """Of a service (NAME.service) or another control group by the last part of its path. None: nothing runs in it,
        or its memory is not accounted for."""
        ...

    def audit(self, host: str) -> Audit: ...
    def kernel(self, host: str) -> KernelLines: ...


class ServiceReleases(Protocol):
    """Looks at what a host's service runs."""

    def newest(self, host: str, unit: str) -> Release:
        """The newest change of it."""
        ...


class HostRuntimesReading(Protocol):
    """Looks at the runtime of a service's largest process."""

    def runtime(self, host: str, name: str, dump_folder: str) -> RuntimeHints | None:
        """None where nothing of that name runs."""
        ...

    def heap(self, host: str, name: str) -> HeapInfo | None:
        """None where it is no JVM, or may not be asked."""
        ...


class MemoryHistories(Protocol):
    """Who held how much of a host's memory."""

    def held(self, host: str, since: timedelta, expression: str) -> History | None:
        """`expression` is PromQL for bytes by service, with {host} in it; an empty one asks what BytePort itself has
        seen. None where nobody remembers."""
        ...

    def rate(self, since: timedelta, expression: str) -> Samples | None:
        """One series of whatever `expression` asks Prometheus for; None where there is no expression."""
        ...


class MemoryRecord(Protocol):
    """What BytePort itself has seen, on the ledger's clock."""

    def remember_memory(self, host: str, held: dict[str, int]) -> None: ...
    def memory_of(self, host: str, since: timedelta) -> History | None:
        """None where nothing of that host was written down in that time."""
        ...
