"""What a host's service manager tells of its own units, those of the system."""

from __future__ import annotations

import re

from byteport.model.base import Value

LABEL = "X-Byteport-Restart"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}\.service")
HARD_DENY = re.compile(
    r"(byteport|systemd|init|dbus|dbus-broker|polkit|ssh|sshd|dropbear|docker|containerd|crio|cri-o|podman|kubelet|k3s"
    r"|rke2|user|user-runtime-dir|getty|serial-getty|sudo)([-@._].*)?"
)
DENIED_PROCESSES = re.compile(
    r"(byteport|systemd|init|dbus|sshd|dockerd|containerd|crio|conmon|kubelet|k3s)([-._: ].*)?"
)


class SystemUnit(Value):
    """A service of the system. `active`, `sub` and `result` in systemd's own words; `invocation` is another one each
    time it is started; `cpu_weight` None: it has none of its own. `label` is what its files say under
    X-Byteport-Restart, where nobody but root could have written any of them; `why` says why it does not count."""

    name: str
    active: str
    sub: str = ""
    result: str = ""
    invocation: str = ""
    restarts: int | None = None
    up_seconds: float | None = None
    main_pid: int = 0
    command: str = ""
    cpu_weight: int | None = None
    boot: str = ""
    label: str = ""
    why: str = ""

    @property
    def is_opted_in(self) -> bool:
        return self.label == "safe"

    @property
    def denied(self) -> str:
        """Why it is never touched, whatever its label says; empty where it may be."""
        return denied(self.name, self.command)

    def __str__(self) -> str:
        failed = f", {self.result}" if self.active == "failed" and self.result else ""
        return f"{self.name}: {self.active} ({self.sub}){failed}"


class LabelledUnits(Value):
    """The loaded services that carry the label. `why` says what kept them from being looked for."""

    units: tuple[SystemUnit, ...] = ()
    why: str = ""

    def of(self, name: str) -> SystemUnit | None:
        return next((unit for unit in self.units if unit.name == name), None)


def denied(unit: str, command: str = "") -> str:
    """Why that unit is never touched: BytePort itself, the service manager, the ways in, what runs containers."""
    if not NAME.fullmatch(unit):
        return f"{unit!r} is no service that can be named exactly"
    stem = unit.removesuffix(".service")
    if HARD_DENY.fullmatch(stem) or stem.endswith("@"):
        return f"{unit} is never touched"
    if command and DENIED_PROCESSES.fullmatch(command):
        return f"{unit} runs {command}, which is never touched"
    return ""
