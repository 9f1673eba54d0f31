"""What the people who run BytePort have decided, as the engine needs it. Built from the settings in wiring."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from byteport.grammar.runbook import Runbook
from byteport.model.confidence import CONFIDENCE_FLOOR
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target
from byteport.records.standing import Promotion

_STRICTNESS = (Mode.DRY_RUN, Mode.APPROVE, Mode.LIVE)


@dataclass(frozen=True)
class Policy:
    """`file_modes` are explicit modes of the configuration; they can only hold a runbook back.

    `maintenance(runbook, signal, now)` says which window is open for it, empty for none. `team(runbook, signal)` names
    the team that is told. `operators` are the channels for what concerns BytePort itself. `configured` answers a target
    as the configuration has it. `annotations` answers None for a target whose opt-ins and opt-outs cannot be read. The
    three limits that are policy (`storm_threshold`, `max_concurrent`, `first_day_rate`) may be raised; no other may.
    """

    runbook_dry_run: bool | None = None
    mode: Mode | None = None
    file_modes: Mapping[str, Mode] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    target_options: Callable[[Target], Mapping[str, Any]] = lambda _target: {}
    floor: int = CONFIDENCE_FLOOR
    floors: Mapping[str, int] = field(default_factory=dict)
    annotations: Callable[[Target], Mapping[str, str] | None] = lambda _target: {}
    maintenance: Callable[[str, Signal, datetime], str] = lambda _runbook, _signal, _now: ""
    configured: Callable[[Target], Target | None] = lambda _target: None
    pause_process: bool = False
    pause_file: Path = Path("/etc/byteport/pause")
    storm_threshold: int = 20
    max_concurrent: int = 5
    first_day_rate: int = 1
    self_targets: frozenset[str] = frozenset()
    base_url: str = ""
    channels: tuple[str, ...] = ()
    team: Callable[[str, Signal], str] = lambda _runbook, _signal: ""
    operators: tuple[str, ...] = ()
    notifications: int = 5
    repeat_after: timedelta = timedelta(minutes=15)
    fallback_channel: str = "journal"
    configuration: str = ""
    retention: timedelta = timedelta(days=90)

    def stricter(self, one: Mode, other: Mode) -> Mode:
        """The mode of the two that allows less."""
        return min((one, other), key=_STRICTNESS.index)

    def mode_of(self, runbook: str, promotion: Promotion | None) -> Mode:
        """What signals may do with this page: a person's promotion, held back by every explicit switch."""
        promoted = promotion.mode if promotion is not None else Mode.DRY_RUN
        return self.stricter(promoted, self.ceiling_of(runbook))

    def ceiling_of(self, runbook: str) -> Mode:
        """The loosest mode that no explicit switch forbids."""
        if self.runbook_dry_run:
            return Mode.DRY_RUN
        explicit = [mode for mode in (self.file_modes.get(runbook), self.mode) if mode is not None]
        return min((*explicit, Mode.LIVE), key=_STRICTNESS.index)

    def forbidding_switch(self, runbook: str) -> str:
        """The name of the explicit switch that forbids acting, or an empty text."""
        if self.runbook_dry_run:
            return "BYTEPORT_RUNBOOK_DRY_RUN=true"
        if Mode.DRY_RUN in (self.file_modes.get(runbook), self.mode):
            return f"mode: dry_run in the configuration ({runbook})"
        return self.paused_here()

    def paused_here(self) -> str:
        """Why this process or this host is paused, or an empty text. Read before every attempt."""
        if self.pause_process:
            return "BYTEPORT_PAUSE=true"
        try:
            os.lstat(self.pause_file)
        except FileNotFoundError:
            return ""
        except OSError as problem:  # who cannot look does not know that nobody paused
            return f"{self.pause_file} cannot be looked at: {problem.strerror}"
        return f"{self.pause_file} exists"

    def options_of(self, page: Runbook, target: Target) -> dict[str, Any]:
        """The page's options as configured, and what the configuration says of this target."""
        given = self.options.get(page.name, {})
        chosen = {option.name: given.get(option.name, option.default) for option in page.options}
        return {**self.target_options(target), **chosen}

    def floor_of(self, page: Runbook) -> int:
        return max(self.floor, page.confidence_floor, self.floors.get(page.name, 0))
