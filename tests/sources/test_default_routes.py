"""The routes that come with BytePort: what recorded payloads and exporters' alerts become, and what is left alone."""

from __future__ import annotations

import pytest

from byteport.engine.pages import Pages
from byteport.engine.routing import Routing, signal_by
from byteport.model.alert import Alert
from byteport.sources.default_routes import default_routes
from tests.sources.recorded import alerts

ROUTED = [
    ("github/workflow_run_failed", "deploy_failed", "workflow_run:acme-example/shop/30433642/1"),
    ("sentry/event_alert", "application_error", "issue:acme-example/1170820242"),
    ("sentry/issue_unresolved", "application_error", "issue:acme-example/1170820242"),
    ("argocd/health_degraded", "deploy_health_regression", "deployment:prod/shop/web"),
    ("flux/upgrade_failed", "deploy_health_regression", "deployment:prod/shop/web"),
    ("spinnaker/pipeline_failed", "deploy_health_regression", "deployment:prod/shop/web"),
    ("datadog/warn_with_an_alertname", "db_connections_saturated", "database:db1/shop"),
]


def route_of(alert: Alert) -> tuple[str, str] | None:
    """By the first built-in route that fits, whether a runbook claims its signal or not."""
    tried = Routing(Pages(()), shipped=default_routes()).explain(alert).considered
    if not tried or tried[-1].why_not:
        return None
    made = signal_by(tried[-1].route, alert)
    return made.name, str(made.target)


@pytest.mark.parametrize(("name", "signal", "target"), ROUTED)
def test_what_recorded_payloads_become(name, signal, target):
    assert [route_of(one) for one in alerts(name)] == [(signal, target)]


@pytest.mark.parametrize("name", ["github/deployment_failed", "github/check_suite_failed", "argocd/sync_failed",
                                  "flux/no_metadata", "sentry/metric_alert_critical", "datadog/triggered"])  # fmt: skip
def test_what_nobody_can_act_on_has_no_built_in_route(name):
    """A failed sync or check has changed nothing; a deployment's failure comes with its run."""
    assert [route_of(one) for one in alerts(name)] == [None]


@pytest.mark.parametrize(
    ("alertname", "labels", "signal", "target"),
    [
        ("NodeFilesystemAlmostOutOfSpace", {"instance": "10.0.0.7:9100", "mountpoint": "/var"}, "disk_pressure", "host:10.0.0.7:/var"),
        ("NodeFilesystemAlmostOutOfFiles", {"instance": "web1:9100"}, "inode_exhaustion", "host:web1:/"),
        ("NodeMemoryHighUtilization", {"instance": "web1:9100"}, "memory_pressure", "host:web1"),
        ("HostOomKillDetected", {"instance": "web1:9100"}, "oom_kill", "host:web1"),
        ("NodeCPUHighUsage", {"instance": "web1:9100"}, "cpu_saturation", "host:web1"),
        ("KubePodCrashLooping", {"namespace": "shop", "pod": "web-0", "cluster": "prod"}, "crashloopbackoff", "pod:prod/shop/web-0"),
        ("KubePodCrashLooping", {"namespace": "shop", "pod": "web-0"}, "crashloopbackoff", "pod:default/shop/web-0"),
        ("KubeContainerWaiting", {"namespace": "shop", "pod": "w", "reason": "ImagePullBackOff"}, "image_pull_backoff", "pod:default/shop/w"),
        ("KubeDeploymentRolloutStuck", {"namespace": "shop", "deployment": "web"}, "rollout_stuck", "deployment:default/shop/web"),
        ("KubeNodeNotReady", {"node": "n1"}, "node_not_ready", "node:default/n1"),
        ("KubeNodePressure", {"node": "n1", "condition": "DiskPressure"}, "node_disk_pressure", "node:default/n1"),
        ("KubeNodePressure", {"node": "n1", "condition": "MemoryPressure"}, "node_memory_pressure", "node:default/n1"),
        ("KubeNodePressure", {"node": "n1", "condition": "PIDPressure"}, "node_pid_pressure", "node:default/n1"),
        ("KubeletDown", {"node": "n1"}, "kubelet_unhealthy", "node:default/n1"),
        ("PostgreSQLMaxConnectionsReached", {"server": "db1:5432"}, "db_pool_exhausted", "database:db1/postgres"),
        ("PostgresqlTooManyConnections", {"server": "db1:6432", "datname": "shop"}, "db_connections_saturated", "database:db1:6432/shop"),
        ("PostgresqlReplicationLag", {"server": "db1:5432"}, "replication_lag", "database:db1/postgres"),
        ("BlackboxSslCertificateWillExpireSoon", {"instance": "https://Shop.example/health"}, "cert_expiring_soon", "domain:shop.example"),
        ("BlackboxSslCertificateExpired", {"instance": "shop.example:8443"}, "cert_expired", "domain:shop.example"),
    ],
)  # fmt: skip
def test_what_exporters_alerts_become(alertname, labels, signal, target):
    told = Alert(source="alertmanager", name=alertname, fired_at="2026-11-26T10:00:00Z", labels=labels)
    assert route_of(told) == (signal, target)


@pytest.mark.parametrize(
    ("alertname", "labels"),
    [
        ("Watchdog", {}),
        ("KubeContainerWaiting", {"namespace": "shop", "pod": "w", "reason": "ContainerCreating"}),
        ("PostgresqlNotEnoughConnections", {"server": "db1:5432"}),
        ("KubePodNotReady", {"namespace": "shop", "pod": "w"}),
    ],
)
def test_what_means_nothing_for_certain_is_left_alone(alertname, labels):
    assert (
        route_of(Alert(source="alertmanager", name=alertname, fired_at="2026-11-26T10:00:00Z", labels=labels)) is None
    )
