"""What hours of samples say: whether memory rises, whether it goes with the traffic, how high it stands. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

Points = Sequence[tuple[datetime, float]]

LEAST_POINTS, STRAIGHT, LEAST_RISE = 12, 0.80, 1.10


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Pearson's; 0 where one of them does not change."""
    n = min(len(xs), len(ys))
    if n < 2:
        return 0.0
    mean_x, mean_y = sum(xs[:n]) / n, sum(ys[:n]) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=False))
    under = math.sqrt(sum((x - mean_x) ** 2 for x in xs[:n]) * sum((y - mean_y) ** 2 for y in ys[:n]))
    return over / under if under else 0.0


def rises(points: Points, least: timedelta) -> bool:
    """Over at least so long, steadily, and by a tenth or more."""
    if len(points) < LEAST_POINTS or points[-1][0] - points[0][0] < least:
        return False
    values = [value for _, value in points]
    quarter = max(1, len(values) // 4)
    first, last = sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter
    times = [(at - points[0][0]).total_seconds() for at, _ in points]
    return correlation(times, values) >= STRAIGHT and last >= LEAST_RISE * first


def goes_with(points: Points, others: Points) -> float | None:
    """How closely they go together at the same moments (within three minutes); None with too few of those."""
    pairs = [(value, near) for at, value in points if (near := _near(others, at)) is not None]
    if len(pairs) < LEAST_POINTS:
        return None
    return correlation([one for one, _ in pairs], [other for _, other in pairs])


def _near(points: Points, at: datetime) -> float | None:
    found = min(points, key=lambda point: abs((point[0] - at).total_seconds()), default=None)
    return found[1] if found is not None and abs((found[0] - at).total_seconds()) <= 180 else None


def p99(points: Points) -> float:
    """The value that 99 % of the samples do not exceed; 0 for none."""
    values = sorted(value for _, value in points)
    return values[min(len(values) - 1, math.ceil(0.99 * len(values)) - 1)] if values else 0.0
