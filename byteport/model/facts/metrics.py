"""A figure of a monitoring service, in our words."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Value


class Figure(Value):
    """The newest value of one series, and when it was measured."""

    value: float
    at: AwareDatetime
    labels: dict[str, str] = Field(default_factory=dict)
    unit: str = ""
