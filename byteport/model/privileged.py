"""The exact words of what is run by sudo on a host's system services: whoever runs them and whoever writes the sudoers
file take them from here, so that neither says more than the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

RestartVerb = Literal["try-restart", "restart"]
SYSTEMCTL = "/usr/bin/systemctl"


def restart_words(unit: str, verb: RestartVerb) -> tuple[str, ...]:
    return (SYSTEMCTL, verb, "--no-block", "--", unit)


def weight_words(unit: str, weight: int | None) -> tuple[str, ...]:
    """Until the next boot; None: the default."""
    return (SYSTEMCTL, "set-property", "--runtime", "--", unit, f"CPUWeight={'' if weight is None else weight}")


def restarts(units: Sequence[str], verb: RestartVerb = "try-restart") -> list[tuple[str, ...]]:
    """For `Runbook.as_root`."""
    return [restart_words(unit, verb) for unit in units]


def weights(units: Sequence[str], *asked: int | None) -> list[tuple[str, ...]]:
    """For `Runbook.as_root`."""
    return [weight_words(unit, weight) for unit in units for weight in asked]


# All open files of all processes, a line each: its process, and what it is. Wildcards are find's own.
OPEN_FILES = (
    "/usr/bin/find", "/proc", "-mindepth", "3", "-maxdepth", "3", "-path", "/proc/[0-9]*/fd/*", "-printf", "%h %l\\n",
)  # fmt: skip
