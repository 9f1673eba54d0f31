"""Maintenance windows that come again every week: meanwhile BytePort looks and tells, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, field_validator, model_validator

from byteport.model.target import Key, Text
from byteport.settings.section import Section

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class MaintenanceSection(Section):
    """One window, for what its match selects."""

    match: dict[Key, Text] = Field(min_length=1, max_length=32)
    """Labels of the signal, or runbook, target, kind, signal and source, as in `byteport silence`; all must agree."""
    days: tuple[Day, ...] = DAYS
    """The days on which it begins (mon … sun); not given: every day."""
    start: Clock
    """When it begins, HH:MM on the wall of `timezone`."""
    minutes: int = Field(ge=1, le=7 * 24 * 60)
    """How long it lasts."""
    timezone: str = "UTC"
    """As the IANA database names it (Europe/Berlin)."""
    why: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """For whoever finds it silenced."""

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"a time zone of the IANA database, such as Europe/Berlin, not {value!r}") from None
        return value

    @field_validator("days")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one day; an empty list would mean never")
        return value

    @model_validator(mode="after")
    def _ends_before_it_begins_again(self) -> Self:
        if len(set(self.days)) == len(DAYS) and self.minutes > 24 * 60:
            raise ValueError("minutes: at most 1440 for a window of every day")
        return self

    def open_until(self, now: datetime) -> datetime | None:
        """When the window that is open at `now` ends; None where none is. Where the clocks go forward over its start it
        begins when that hour would have been; its length is real time."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        hour, minute = (int(part) for part in self.start.split(":"))
        for back in range(self.minutes // (24 * 60) + 2):
            day = today - timedelta(days=back)
            if DAYS[day.weekday()] not in self.days:
                continue
            began = datetime.combine(day, time(hour, minute), tzinfo=zone).astimezone(UTC)
            if began <= now < began + timedelta(minutes=self.minutes):
                return began + timedelta(minutes=self.minutes)
        return None
