"""Commands that outlive whoever started them: transient units of the service manager of a host's ordinary user.

`systemd-run --user` gives a command a name that the manager lets nobody take twice, a time after which its whole
control group is ended, and a result that can be read later. It needs no right beyond those of the user, who must linger
(`loginctl enable-linger`), so that the manager runs also while nobody is logged in. Documented in systemd-run(1) and
systemd.service(5).
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from byteport.adapters.transport import ByName, Completed
from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.hosts import UnitState
from byteport.model.root_commands import SUDO
from byteport.redaction import redact_text

NAME = re.compile(r"byteport-[a-z0-9-]{1,200}")
PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus")
TAKEN = re.compile(r"already (loaded|exists)|has a fragment file", re.IGNORECASE)
LINGER = "loginctl enable-linger USER, once"
MOST_STDIN = 65_536
GRACE = 10  # seconds between being asked to end and being ended
AWAY = re.compile(r"Failed to connect to bus|No medium found|Connection refused", re.IGNORECASE)


@dataclass(frozen=True)
class UserUnits:
    """Over whichever transport a host has. Who logs in there is asked once for a host."""

    hosts: ByName
    _users: dict[str, str] = field(default_factory=dict)

    def unit(self, host: str, name: str) -> UnitState | None:
        told = self._manager(host, ("systemctl", "--user", "show", f"--property={','.join(PROPERTIES)}", _named(name)))
        found = dict(line.split("=", 1) for line in told.stdout.splitlines() if "=" in line)
        if found.get("LoadState") == "not-found":
            return None
        if not found.get("ActiveState"):
            raise Transient(f"{host}: its service manager did not answer for {name}")
        return UnitState(
            name=name, active=found["ActiveState"], sub=found.get("SubState", ""), result=found.get("Result", ""),
            status=int(found.get("ExecMainStatus") or 0),
        )  # fmt: skip

    def start(
        self, host: str, name: str, argv: Sequence[str], environment: Mapping[str, str], timeout: timedelta
    ) -> None:
        """The unit stays loaded when it has ended, so that its result can be read and its name is not free again."""
        if not argv or not argv[0].startswith("/"):
            raise Permanent("a command begins with the absolute path of a program")
        named = (f"{key}={_literal(value)}" for key, value in sorted(environment.items()))
        words = ("/usr/bin/env", "-i", *named, *map(_literal, argv))
        self._start(host, name, timeout, ("--property=NoNewPrivileges=yes",), words)

    def start_as_root(
        self, host: str, name: str, commands: Sequence[Sequence[str]], timeout: timedelta, stdin: bytes = b""
    ) -> None:
        """The unit is the user's, its commands are sudo's: nothing but what it lets through is run as root. What a
        command leaves running is root's own, and no manager of the user's can end it."""
        if len(stdin) > MOST_STDIN:
            raise Permanent(f"a unit is told {MOST_STDIN} bytes at most")
        line = " && ".join(shlex.join((*SUDO, *command)) for command in commands)
        given = f"--property=StandardInputData={base64.b64encode(stdin).decode()}"
        more = ("--property=StandardInput=data", given) if stdin else ()
        self._start(host, name, timeout, more, ("/bin/sh", "-c", _literal(line)))

    def _start(self, host: str, name: str, timeout: timedelta, more: Sequence[str], words: Sequence[str]) -> None:
        self.check(host)
        self._manager(
            host,
            (
                "systemd-run", "--user", "--quiet", "--no-block", f"--unit={_named(name)}",
                "--property=Type=oneshot", "--property=RemainAfterExit=yes",
                f"--property=TimeoutStartSec={timeout.total_seconds():g}", f"--property=TimeoutStopSec={GRACE}",
                "--property=KillMode=control-group", *more, "--", *words,
            ),
        )  # fmt: skip

    def check(self, host: str) -> None:
        """Raises Denied for a user who does not linger: its manager ends with its last connection, and all its units
        with it."""
        told = self.hosts.get(host).run(("loginctl", "show-user", self._user(host), "--property=Linger"))
        if told.stdout.strip() != "Linger=yes":
            raise Denied(f"{host}: the user does not linger, and what it starts would end too soon: {LINGER}")

    def _manager(self, host: str, argv: Sequence[str]) -> Completed:
        """Outside of a login session nothing says where the user's manager listens; it is always the same place."""
        told = self.hosts.get(host).run(("env", f"XDG_RUNTIME_DIR=/run/user/{self._user(host)}", *argv))
        if told.status == 0:
            return told
        said = redact_text(" ".join(told.stderr.split()))[:300]
        if TAKEN.search(said):
            raise Permanent(f"{host}: {said}")
        if AWAY.search(said):
            raise Denied(f"{host}: the user's service manager does not run: {LINGER} ({said})")
        raise Permanent(f"{host}: {argv[0]} failed: {said}")

    def _user(self, host: str) -> str:
        if host not in self._users:
            told = self.hosts.get(host).run(("id", "-u"))
            if told.status != 0:
                raise Permanent(f"{host}: id -u failed: {redact_text(told.stderr)[:200]}")
            self._users[host] = told.stdout.strip()
        return self._users[host]


def _named(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Permanent(f"{name!r} is no name of a unit of ours")
    return f"{name}.service"


def _literal(word: str) -> str:
    """The service manager replaces $NAME in a command line; a doubled one is the sign itself."""
    return word.replace("$", "$$")
