"""The hosts of the configuration: one transport for each in a process, made when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from byteport.adapters.local_host import LocalTransport
from byteport.adapters.transport import Transport
from byteport.errors import Denied
from byteport.settings.hosts import HostSection

USUAL_KNOWN_HOSTS = Path("~/.ssh/known_hosts")


@dataclass
class Hosts:
    """Threads share it."""

    sections: Mapping[str, HostSection]
    _made: dict[str, Transport] = field(default_factory=dict)
    _making: threading.RLock = field(default_factory=threading.RLock)

    def get(self, name: str) -> Transport:
        """Its transport; raises Denied where there is no such host."""
        with self._making:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def close(self) -> None:
        """Let go of every connection."""
        with self._making:
            while self._made:
                self._made.popitem()[1].close()

    def _make(self, name: str) -> Transport:
        section = self.sections.get(name)
        if section is None:
            raise Denied(
                f"{name!r} is none of the configuration's hosts ({', '.join(sorted(self.sections)) or 'none'})"
            )
        if section.transport == "local":
            return LocalTransport()
        from byteport.adapters.ssh import Login, SshTransport

        through = self.get(section.jump) if section.jump else None
        if through is not None and not isinstance(through, SshTransport):
            raise Denied(f"{name}: a jump host is reached over SSH, {section.jump} is not")
        return SshTransport(
            Login(
                name, section.address or name, section.user, section.known_hosts or USUAL_KNOWN_HOSTS, section.port,
                section.key_file, section.certificate_file, section.agent, timedelta(seconds=section.connect_timeout),
                timedelta(seconds=section.command_timeout), timedelta(seconds=section.idle_timeout), through,
            )
        )  # fmt: skip
