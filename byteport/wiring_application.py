"""What runbooks on applications look at: error tracking and metrics, each only in a process that looks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from byteport.errors import BytePortError
from byteport.ports_application import ApplicationMetrics, ErrorTracking
from byteport.ports_memory import MemoryHistories, MemoryRecord
from byteport.settings import Settings
from byteport.wiring_parts import NotConfigured, api_of


def errors_of(settings: Settings, *, looks: bool) -> ErrorTracking:
    """Sentry with the configured login; what refuses where there is none."""
    login = settings.sentry
    token = login.in_clear("token") if looks else None
    if token is None:
        refusing: Any = NotConfigured(
            "sentry.token is not configured" if looks else "this process has no way to Sentry"
        )
        return refusing  # type: ignore[no-any-return]
    from byteport.adapters.sentry import Sentry

    return Sentry.at(login.org, token, str(login.api_url))


def metrics_of(settings: Settings, *, looks: bool) -> ApplicationMetrics:
    """The Prometheus that `metrics` names, or the only one; where there is none, that is an answer."""
    from byteport.adapters.application_metrics import NoMetrics, PrometheusMetrics

    prometheus = _prometheus(settings, looks)
    return NoMetrics() if prometheus is None else PrometheusMetrics(prometheus)


def memory_history_of(settings: Settings, ledger: MemoryRecord, *, looks: bool) -> MemoryHistories:
    """The same Prometheus, and what BytePort has seen itself."""
    from byteport.adapters.memory_history import MemoryOf

    return MemoryOf(ledger, _prometheus(settings, looks))


def _prometheus(settings: Settings, looks: bool) -> Any:
    known = settings.pollers.prometheus
    name = settings.metrics or (next(iter(known)) if len(known) == 1 else "")
    section = known.get(name)
    if section is None or not looks:
        return None
    from byteport.adapters.prometheus import Prometheus, refused

    try:
        return Prometheus(api_of("prometheus", section, timedelta(seconds=5), refused=refused))
    except (ValueError, BytePortError) as wrong:
        return NotConfigured(f"prometheus {name}: {wrong}")
