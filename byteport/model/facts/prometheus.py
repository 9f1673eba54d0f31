"""What Prometheus tells, in our words."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from byteport.model.base import Value


class Sample(Value):
    """One series of an instant query. `value` None is not a number, or none that is finite."""

    labels: dict[str, str]
    value: float | None = None


class FiringAlert(Value):
    """An alert of one of its rules that fires, since `active_at`."""

    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    active_at: AwareDatetime
    value: float | None = None
