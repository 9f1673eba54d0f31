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


class Vector(Value):
    """An instant query's answer. `warnings` say that it may not be whole (Thanos and Mimir answer in part when a store
    is away): what is missing there is unknown."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()


class Firing(Value):
    """What fires, and as above."""

    alerts: tuple[FiringAlert, ...]
    warnings: tuple[str, ...] = ()


class Run(Value):
    """One series of a range query: moments and values, the oldest first. What is no finite number is left out."""

    labels: dict[str, str]
    points: tuple[tuple[AwareDatetime, float], ...] = ()
