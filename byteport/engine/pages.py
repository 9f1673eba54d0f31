"""The pages that this process has, and which of them takes a signal. Exactly one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from byteport.errors import BadConfiguration, BadInput, BadSignal
from byteport.grammar.runbook import Runbook
from byteport.model.signal import Signal
from byteport.model.target import TargetKind

# The default order inside a family of signals, where several pages claim the same one.
DEFAULT_ORDER: tuple[tuple[str, ...], ...] = (
    ("memory_pressure_oom", "memory_pressure_auto_recover", "memory_pressure"),
    ("disk_pressure_auto_cleanup", "disk_space_auto_reclaim", "disk_pressure"),
    ("oomkilled_memory_pressure", "oom_killed_pod"),
    ("crashloopbackoff_v2", "crash_loop_backoff", "container_restart_loop_breaker", "pod_crashloop"),
    ("node_not_ready", "node_not_ready_drain"),
    ("tls_cert_expiry_auto_renewal", "tls_cert_expiry_auto_renew", "ssl_cert_auto_rotate", "cert_expiry"),
    ("db_connection_pool_exhaustion", "db_connection_pool_exhausted", "connection_pool_exhausted"),
    ("failed_deploy_auto_rollback", "deployment_rollback"),
)


@dataclass(frozen=True)
class Pages:
    """`enabled` None means all; `order` maps a runbook to its place where the defaults do not decide."""

    all: tuple[Runbook, ...]
    enabled: frozenset[str] | None = None
    order: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        slugs = [page.name.replace("-", "_") for page in self.all]
        problems = [
            (f"runbooks.{slug}", "a slug that no other page has") for slug in {s for s in slugs if slugs.count(s) > 1}
        ]
        problems += [
            (f"runbooks.{slug}", "a runbook that is installed") for slug in sorted((self.enabled or set()) - set(slugs))
        ]
        problems += self._unordered()
        if problems:
            raise BadConfiguration(tuple(problems))

    @cached_property
    def by_name(self) -> dict[str, Runbook]:
        return {page.name: page for page in self.all}

    @cached_property
    def digests(self) -> tuple[str, ...]:
        return tuple(page.digest for page in self.all)

    def __getitem__(self, name: str) -> Runbook:
        """The page; raises BadInput where it is not installed."""
        page = self.by_name.get(name.replace("-", "_"))
        if page is None:
            raise BadInput("runbook", f"{name!r} is not one of {', '.join(sorted(self.by_name)) or 'none'}")
        return page

    def is_enabled(self, page: Runbook) -> bool:
        return self.enabled is None or page.name in self.enabled

    def claimants(self, signal: str, kind: TargetKind) -> list[Runbook]:
        """Enabled pages that claim the signal on that kind of target, the one that takes it first."""
        found = [
            page
            for page in self.all
            if self.is_enabled(page) and page.target is kind and any(s.name == signal for s in page.signals)
        ]
        return sorted(found, key=self._place)

    def route(self, signal: Signal) -> Runbook:
        """The page that takes the signal; raises BadSignal where none does."""
        claimants = self.claimants(signal.name, signal.target.kind)
        if not claimants:
            raise self._unclaimed(signal)
        return claimants[0]

    def _unclaimed(self, signal: Signal) -> BadSignal:
        enabled = [page for page in self.all if self.is_enabled(page)]
        kinds = sorted({str(page.target) for page in enabled if any(s.name == signal.name for s in page.signals)})
        if kinds:
            return BadSignal("target.kind", f"{' or '.join(kinds)} for {signal.name!r}, got {signal.target.kind}")
        known = ", ".join(sorted({s.name for page in enabled for s in page.signals})) or "none"
        return BadSignal("name", f"{signal.name!r} is claimed by no enabled runbook (claimed: {known})")

    def _place(self, page: Runbook) -> tuple[int, int]:
        for family in DEFAULT_ORDER:
            if page.name in family:
                return (self.order.get(page.name, 1000), family.index(page.name))
        return (self.order.get(page.name, 1000), len(self.all))

    def _unordered(self) -> list[tuple[str, str]]:
        claimed = {(s.name, page.target) for page in self.all for s in page.signals}
        return [
            (f"runbooks.{first.name}.order", f"an order against {second.name}: both claim {name}")
            for name, kind in sorted(claimed)
            for first, second in _neighbours(self.claimants(name, kind))
            if self._place(first) == self._place(second)
        ]


def _neighbours(pages: Sequence[Runbook]) -> list[tuple[Runbook, Runbook]]:
    return list(pairwise(pages))
