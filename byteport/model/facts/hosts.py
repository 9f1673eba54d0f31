"""What a host tells of itself, in our words."""

from __future__ import annotations

from byteport.model.base import Value


class UnitState(Value):
    """A unit of a host's service manager, in systemd's own words. `status` is the exit status of its main process."""

    name: str
    active: str
    sub: str = ""
    result: str = ""
    status: int = 0

    @property
    def is_over(self) -> bool:
        """Its main process has ended, one way or the other."""
        return self.active == "failed" or (self.active == "active" and self.sub == "exited")

    @property
    def went_well(self) -> bool:
        return self.is_over and self.active == "active" and self.result == "success" and self.status == 0

    def __str__(self) -> str:
        ended = f", exit status {self.status}" if self.is_over else ""
        return f"{self.name}: {self.active} ({self.sub}), {self.result}{ended}"
