"""A figure of a monitoring service, in our words."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Value


class Figure(Value):
    """The newest value of one series, and when it was measured; those before it in the window, the newest first."""

    value: float
    at: AwareDatetime
    earlier: tuple[tuple[AwareDatetime, float], ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    unit: str = ""
