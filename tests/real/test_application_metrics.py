"""What a real Prometheus knows of an application: its scale as kube-state-metrics tells it, breakers and latencies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from byteport.adapters.application_metrics import PrometheusMetrics
from byteport.adapters.http_api import HttpApi
from byteport.adapters.prometheus import Prometheus, refused
from byteport.errors import Permanent
from byteport.runbooks.application.application_error import BREAKERS, LATENCIES
from tests.prometheus_stack import Stack, stack
from tests.servers import eventually

SERIES = """
kube_deployment_spec_replicas{namespace="shop",deployment="api"} 3
kube_deployment_spec_replicas{namespace="shop",deployment="web"} 2
kube_deployment_spec_replicas{namespace="other",deployment="api"} 9
kube_horizontalpodautoscaler_info{namespace="shop",horizontalpodautoscaler="api-hpa",scaletargetref_kind="Deployment",scaletargetref_name="api"} 1
kube_horizontalpodautoscaler_spec_max_replicas{namespace="shop",horizontalpodautoscaler="api-hpa"} 8
kube_horizontalpodautoscaler_info{namespace="other",horizontalpodautoscaler="api-hpa",scaletargetref_kind="Deployment",scaletargetref_name="api"} 1
kube_horizontalpodautoscaler_spec_max_replicas{namespace="other",horizontalpodautoscaler="api-hpa"} 20
resilience4j_circuitbreaker_state{name="payments",state="open"} 1
resilience4j_circuitbreaker_state{name="payments",state="closed"} 0
resilience4j_circuitbreaker_state{name="search",state="open"} 0
upstream_seconds{upstream="payments"} 4.2
upstream_seconds{upstream="search"} 0.1
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("prometheus")) as made:
        made.exporter.more = SERIES
        yield made


@pytest.fixture
def metrics(running) -> PrometheusMetrics:
    prometheus = Prometheus(HttpApi("prometheus", running.prometheus, patience=timedelta(seconds=5), refused=refused))
    eventually(lambda: prometheus.query("upstream_seconds"), within=60)
    return PrometheusMetrics(prometheus)


@pytest.mark.parametrize(
    ("workload", "replicas", "most"), [("prod/shop/api", 3, 8), ("prod/shop/web", 2, None), ("prod/other/api", 9, 20)]
)
def test_the_scale_of_a_deployment(metrics, workload, replicas, most):
    told = metrics.scale(workload)
    assert (told.replicas, told.hpa_maximum) == (replicas, most)


def test_a_deployment_that_no_metric_knows_is_none(metrics):
    assert metrics.scale("prod/shop/nobody") is None


@pytest.mark.parametrize("workload", ["api", "prod/shop", 'prod/shop/a"} or x', "prod/shop/api/x", "prod//api"])
def test_a_name_is_a_name(metrics, workload):
    with pytest.raises(Permanent, match="is not cluster/namespace/deployment"):
        metrics.scale(workload)


def test_open_breakers_and_the_slowest_upstreams(metrics):
    told = metrics.upstreams(BREAKERS, "upstream_seconds")
    assert [(one.upstream, one.state) for one in told.open_breakers] == [("payments", "open")]
    assert [(one.upstream, one.seconds) for one in told.latencies] == [("payments", 4.2), ("search", 0.1)]


def test_without_those_series_there_is_nothing_to_tell(metrics):
    told = metrics.upstreams("", LATENCIES)
    assert (told.open_breakers, told.latencies) == ((), ())
