"""What Prometheus knows of an application: the breakers before its upstreams, their latencies, and its scale.

The scale is kube-state-metrics': `kube_deployment_spec_replicas`, and the HPA that points at the Deployment
(`kube_horizontalpodautoscaler_info` with `_spec_max_replicas`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from byteport.errors import Permanent
from byteport.model.facts.application import Breaker, UpstreamLatency, Upstreams, WorkloadScale
from byteport.model.facts.prometheus import Sample

MOST = 20
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
NAMED_BY = ("upstream", "name", "envoy_cluster_name", "destination_service_name", "service", "job", "instance")


class Asking(Protocol):
    """Raises Transient, Denied or Permanent."""

    def query(self, expression: str) -> Sequence[Sample]: ...


@dataclass(frozen=True)
class PrometheusMetrics:
    """Instant queries, each for what is so now."""

    prometheus: Asking

    def upstreams(self, breakers: str, latencies: str) -> Upstreams:
        opened = self.prometheus.query(breakers) if breakers else ()
        slow = self.prometheus.query(latencies) if latencies else ()
        told = [UpstreamLatency(upstream=_name(s.labels), seconds=s.value) for s in slow if s.value is not None]
        return Upstreams(
            open_breakers=tuple(
                Breaker(upstream=_name(s.labels), state=s.labels.get("state", "open")) for s in opened if s.value
            )[:MOST],
            latencies=tuple(sorted(told, key=lambda one: one.seconds, reverse=True)[:MOST]),
        )

    def scale(self, workload: str) -> WorkloadScale | None:
        _, namespace, name = _parts(workload)
        where = f'namespace="{namespace}"'
        replicas = self._one(f'max(kube_deployment_spec_replicas{{{where},deployment="{name}"}})')
        if replicas is None:
            return None
        points = f'scaletargetref_kind="Deployment",scaletargetref_name="{name}"'
        maximum = self._one(
            f"min(kube_horizontalpodautoscaler_spec_max_replicas{{{where}}} * on (namespace, horizontalpodautoscaler) "
            f"group_left () max by (namespace, horizontalpodautoscaler) "
            f"(kube_horizontalpodautoscaler_info{{{where},{points}}}))"
        )
        return WorkloadScale(
            workload=workload, replicas=int(replicas), hpa_maximum=None if maximum is None else int(maximum)
        )

    def filling(self, host: str, mount: str) -> float | None:
        instance = json.dumps(f"{re.escape(host)}(:[0-9]+)?")
        where = f"instance=~{instance},mountpoint={json.dumps(mount)}"
        return self._one(f"-max(deriv(node_filesystem_avail_bytes{{{where}}}[5m]))")

    def _one(self, expression: str) -> float | None:
        return next((sample.value for sample in self.prometheus.query(expression)), None)


class NoMetrics:
    """No metrics are configured: an answer, not a failure."""

    def upstreams(self, breakers: str, latencies: str) -> None:
        return None

    def scale(self, workload: str) -> None:
        return None

    def filling(self, host: str, mount: str) -> None:
        return None


def _parts(workload: str) -> tuple[str, str, str]:
    parts = workload.split("/")
    if len(parts) != 3 or not all(NAME.fullmatch(part) for part in parts[1:]):
        raise Permanent(f"{workload!r} is not cluster/namespace/deployment")
    return parts[0], parts[1], parts[2]


def _name(labels: Mapping[str, str]) -> str:
    return next((labels[name] for name in NAMED_BY if labels.get(name)), "not named")[:200]
