"""Units that pages write their numbers in."""

from __future__ import annotations

from datetime import timedelta

KiB = 1024
MiB = 1024 * KiB


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    return timedelta(days=n)
