"""What is known of a host's service beside its state: what was released, how often it was restarted, where it runs."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from byteport.model.base import Value

Platform = Literal["systemd", "render", "kubernetes", "unknown"]


class Release(Value):
    """The newest change of what a service runs: a program, a script, its unit file, a link to a release. `what` is its
    path; `age` in seconds, None where nothing of it could be looked at."""

    what: str = ""
    age: float | None = None

    def __str__(self) -> str:
        return f"{self.what} changed {self.age / 60:.0f} min ago" if self.age is not None else "nothing known"


class Restart(Value):
    """One that BytePort made."""

    runbook: str
    at: AwareDatetime


class Restarts(Value):
    """`automatic`: by the service manager itself since somebody started it; `ours`: BytePort's, the newest first."""

    automatic: int = 0
    up_seconds: float | None = None
    ours: tuple[Restart, ...] = ()


class Runtime(Value):
    """Where a service runs, and by what it can be restarted."""

    platform: Platform
    service: str = ""
    why: str = ""
