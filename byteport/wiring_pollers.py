"""The pollers that are configured. Clients are imported where their source is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from byteport.errors import BytePortError, Permanent
from byteport.redaction import redact_text
from byteport.settings import Settings
from byteport.settings.metrics import ThresholdSection
from byteport.settings.pollers import PrometheusSection
from byteport.sources.incoming import Heard
from byteport.sources.polling import AnyPoller
from byteport.stores_people import People
from byteport.wiring_parts import api_of

if TYPE_CHECKING:
    from byteport.adapters.hosts import Hosts
    from byteport.sources.metrics import MetricRule
    from byteport.sources.prometheus import PromqlRule


def pollers_of(settings: Settings, ledger: People, hosts: Hosts | None = None) -> tuple[AnyPoller, ...]:
    """All but the databases', with the names that `PollersSection.periods` gives to the clock. One that cannot be made
    (a secret's file that is gone, a token that is missing) costs no other kind: it says so when it is asked, and people
    are told as of any source that does not answer. `hosts`: the connections that the process has already."""
    kinds: Mapping[str, Callable[[], Iterator[AnyPoller]]] = {
        "sentry": lambda: _sentry(settings), "prometheus": lambda: _prometheis(settings),
        "silences": lambda: _silences(settings, ledger), "github": lambda: _github(settings),
        "tls": lambda: _tls(settings), "datadog": lambda: _datadog(settings),
        "cloudwatch": lambda: _cloudwatch(settings), "render": lambda: _render(settings),
        "vitals": lambda: _vitals(settings, hosts), "memory": lambda: _memory(settings, ledger, hosts),
    }  # fmt: skip
    made: dict[str, AnyPoller] = {}
    why: dict[str, str] = {}
    for kind, make in kinds.items():
        try:
            for poller in make():
                made[poller.name] = poller
        except (ValueError, BytePortError) as problem:
            why[kind] = redact_text(str(problem))
    return tuple(
        made.get(name) or Unmade(name, timedelta(seconds=each), why.get(name.partition(" ")[0], "it has no login"))
        for name, each in settings.pollers.periods()
    )


@dataclass(frozen=True)
class Unmade:
    """A poller that is configured and could not be made."""

    name: str
    period: timedelta
    why: str
    timeout: timedelta = timedelta(0)

    def ask(self, now: datetime) -> Sequence[Heard]:
        raise Permanent(f"{self.name}: {self.why}")


def _prometheis(settings: Settings) -> Iterator[AnyPoller]:
    for name, section in settings.pollers.prometheus.items():
        from byteport.adapters.prometheus import Prometheus, refused
        from byteport.sources.prometheus import PrometheusPoller

        reader = Prometheus(api_of("prometheus", section, refused=refused))
        period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
        rules = tuple(_rules(section))
        yield PrometheusPoller(reader, f"prometheus {name}", period, timeout, section.alerts, rules)


def _rules(section: PrometheusSection) -> Iterator[PromqlRule]:
    from byteport.sources.prometheus import PromqlRule

    for rule in section.rules:
        yield PromqlRule(rule.name, rule.expr, rule.for_seconds, rule.severity, rule.labels, rule.summary)


def _silences(settings: Settings, ledger: People) -> Iterator[AnyPoller]:
    for name, section in settings.pollers.alertmanager.items():
        from byteport.adapters.prometheus import Alertmanager
        from byteport.sources.silences import SilencesPoller

        reader = Alertmanager(api_of("alertmanager", section))
        period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
        yield SilencesPoller(reader.silences, ledger, f"silences of {name}", period, timeout)


def _github(settings: Settings) -> Iterator[AnyPoller]:
    section = settings.pollers.github
    token = settings.github.in_clear("token")
    if token is None or not section.repositories:
        return
    from byteport.adapters import github
    from byteport.sources.github_runs import GitHubRunsPoller

    timeout = timedelta(seconds=section.timeout)
    reader = github.GitHubReader(github.api(token, str(settings.github.api_url), timeout))
    for repository in section.repositories:
        yield GitHubRunsPoller(
            reader, repository, timedelta(seconds=section.period), timeout, re.compile(section.workflows)
        )


def _tls(settings: Settings) -> Iterator[AnyPoller]:
    section = settings.pollers.tls
    if not section.endpoints:
        return
    from byteport.adapters.tls import TlsReader
    from byteport.sources.tls import Endpoint, TlsPoller

    timeout = timedelta(seconds=section.timeout)
    endpoints = tuple(Endpoint(told.host, told.port, told.server_name, told.starttls) for told in section.endpoints)
    yield TlsPoller(TlsReader(timeout, section.ca_file), endpoints, timedelta(seconds=section.period), timeout)


def _vitals(settings: Settings, hosts: Hosts | None) -> Iterator[AnyPoller]:
    section = settings.pollers.vitals
    if not section.enabled or not settings.hosts:
        return
    from byteport.adapters.host_vitals import HostVitals
    from byteport.adapters.hosts import Hosts
    from byteport.sources.vitals import VitalRules, VitalsPoller

    period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
    rules = VitalRules(
        section.cpu_percent / 100, section.cpu_seconds, section.memory_percent / 100, section.memory_seconds,
        section.disk_percent / 100, section.inodes_percent / 100,
    )  # fmt: skip
    looking = HostVitals(hosts or Hosts(settings.hosts), timeout)
    yield VitalsPoller(looking, tuple(settings.hosts), rules, period, timeout)


def _memory(settings: Settings, ledger: Any, hosts: Hosts | None) -> Iterator[AnyPoller]:
    section = settings.pollers.vitals
    if not section.enabled or not settings.hosts:
        return
    from byteport.adapters.host_memory import HostMemory
    from byteport.adapters.hosts import Hosts
    from byteport.sources.memory_looks import MemoryLooksPoller

    period, timeout = timedelta(seconds=section.memory_looks), timedelta(seconds=section.timeout)
    yield MemoryLooksPoller(HostMemory(hosts or Hosts(settings.hosts)), ledger, tuple(settings.hosts), period, timeout)


def _sentry(settings: Settings) -> Iterator[AnyPoller]:
    section, login = settings.pollers.sentry, settings.sentry
    token = login.in_clear("token")
    if not section.enabled or token is None:
        return
    from byteport.adapters.sentry import Sentry
    from byteport.sources.sentry_issues import SentryIssuesPoller, SpikeRules

    period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
    reader = Sentry.at(login.org, token, str(login.api_url), timeout)
    rules = SpikeRules(section.window_seconds, section.spike_multiplier)
    yield SentryIssuesPoller(reader, login.org, section.projects, rules, period, timeout)


def _datadog(settings: Settings) -> Iterator[AnyPoller]:
    section = settings.pollers.datadog
    keys = section.in_clear("api_key"), section.in_clear("application_key")
    if not section.metrics or keys[0] is None or keys[1] is None:
        return
    from byteport.adapters.datadog import Datadog
    from byteport.sources.metrics import MetricsPoller

    period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
    rules = tuple(_metric_rule(told, {"query": told.query}) for told in section.metrics)
    reader = Datadog.at(keys[0], keys[1], str(section.api_url), timeout)
    yield MetricsPoller(reader, "datadog-poller", "datadog", period, timeout, rules)


def _cloudwatch(settings: Settings) -> Iterator[AnyPoller]:
    for name, section in settings.pollers.cloudwatch.items():
        from byteport.adapters.cloudwatch import CloudWatch
        from byteport.sources.metrics import MetricsPoller

        period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
        asked = {"namespace", "metric", "statistic", "period_seconds", "dimensions"}
        rules = tuple(
            _metric_rule(told, {**told.model_dump(include=asked), "look_back_seconds": told.look_back})
            for told in section.metrics
        )
        endpoint = str(section.endpoint_url) if section.endpoint_url else None
        reader = CloudWatch(section.region, endpoint, timeout)
        yield MetricsPoller(reader, "cloudwatch", f"cloudwatch {name}", period, timeout, rules, reader.domain)


def _metric_rule(told: ThresholdSection, asks: Mapping[str, object]) -> MetricRule:
    from byteport.sources.metrics import MetricRule

    asks = {**asks, "for_seconds": told.for_seconds}
    return MetricRule(told.name, asks, told.above, told.below, told.for_seconds, told.severity, told.labels, told.steps)


def _render(settings: Settings) -> Iterator[AnyPoller]:
    section = settings.pollers.render
    key = section.in_clear("api_key")
    if key is None or not section.services:
        return
    from byteport.adapters.render import Render
    from byteport.sources.render import RenderPoller

    period, timeout = timedelta(seconds=section.period), timedelta(seconds=section.timeout)
    services = tuple((service, name or service) for service, name in section.services.items())
    yield RenderPoller(Render.at(key, str(section.api_url), timeout), services, period, timeout)
