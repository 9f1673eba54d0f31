"""Each source's own form: what its recorded payloads mean, and that nothing else gets through."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byteport.errors import BadSignal
from byteport.model.alert import Alert
from byteport.settings.sections import WebhooksSection
from byteport.sources.catalogue import SOURCES
from byteport.sources.incoming import Incoming, Malformed, NotSigned
from tests.sources.recorded import NOW, alerts, heard, incoming, names, recorded

SECRET = "a-webhook-secret-for-tests"
FIVE_MINUTES = 300


def mac(signed: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


MEANINGS: list[tuple[str, list[tuple[str, bool, str]]]] = [
    ("alertmanager/two_firing_one_resolved",
     [("DatabaseFull", False, "critical"), ("Watchdog", False, "info"), ("DatabaseFull", True, "critical")]),
    ("alertmanager/missing_everything_optional", [("Übervoll 🔥", False, "warning")]),
    ("grafana/firing", [("Disk is full", False, "critical")]),
    ("grafana/resolved", [("Disk is full", True, "critical")]),
    ("grafana/no_data_and_several_values", [("DatasourceNoData", False, "warning"), ("Diskspace", False, "critical")]),
    ("github/workflow_run_failed", [("workflow_run", False, "high")]),
    ("github/workflow_run_second_attempt_timed_out", [("workflow_run", False, "high")]),
    ("github/workflow_run_succeeded", []),
    ("github/workflow_run_requested", []),
    ("github/ping", []),
    ("github/deployment_failed", [("deployment_status", False, "high")]),
    ("github/deployment_in_progress", []),
    ("github/check_suite_failed", [("check_suite", False, "high")]),
    ("argocd/health_degraded", [("argocd_health_degraded", False, "critical")]),
    ("argocd/deployed", [("argocd_application", True, "info")]),
    ("argocd/sync_failed", [("argocd_sync_failed", False, "high")]),
    ("argocd/sync_running", []),
    ("flux/upgrade_failed", [("flux_helmrelease", False, "high")]),
    ("flux/upgrade_succeeded", [("flux_helmrelease", True, "info")]),
    ("flux/progressing", []),
    ("flux/no_metadata", [("flux_gitrepository", False, "high")]),
    ("spinnaker/pipeline_failed", [("spinnaker_pipeline", False, "high")]),
    ("spinnaker/pipeline_complete", [("spinnaker_pipeline", True, "high")]),
    ("spinnaker/stage_failed", []),
    ("sentry/event_alert", [("sentry_event_alert", False, "high")]),
    ("sentry/issue_unresolved", [("sentry_issue", False, "high")]),
    ("sentry/issue_resolved", [("sentry_issue", True, "high")]),
    ("sentry/issue_assigned", []),
    ("sentry/metric_alert_critical", [("sentry_metric_alert", False, "critical")]),
    ("sentry/installation_created", []),
    ("datadog/triggered", [("Connections of shop", False, "critical")]),
    ("datadog/recovered", [("Connections of shop", True, "critical")]),
    ("datadog/warn_with_an_alertname", [("PostgreSQLHighConnections", False, "warning")]),
    ("datadog/test", []),
]  # fmt: skip


@pytest.mark.parametrize(("name", "meaning"), MEANINGS, ids=[name for name, _ in MEANINGS])
def test_what_a_payload_means(name, meaning):
    assert [(one.name, one.resolved, str(one.severity)) for one in alerts(name)] == meaning


def test_every_recorded_payload_has_its_meaning_here():
    assert {name for name, _ in MEANINGS} == set(names())


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("github/workflow_run_failed", {
            "owner": "acme-example", "repo": "shop", "run_id": "30433642", "run_attempt": "1", "workflow": "Deploy",
            "workflow_path": ".github/workflows/deploy.yml", "branch": "main", "default_branch": "main",
            "on_default_branch": "true", "actor": "dev-one", "conclusion": "failure",
            "run_url": "https://github.example/acme-example/shop/actions/runs/30433642",
        }),
        ("github/deployment_failed", {"environment": "production", "run_id": "30433642", "ref": "main"}),
        ("github/check_suite_failed", {"app": "github-actions", "head_sha": "ec26c3e5"}),
        ("grafana/firing", {"instance": "web1:9100", "grafana_folder": "hosts"}),
        ("argocd/health_degraded", {"app": "shop", "namespace": "shop", "deployment": "web", "cluster": "prod"}),
        ("flux/upgrade_failed", {"kind": "HelmRelease", "revision": "1.4.2", "deployment": "web", "reason": "UpgradeFailed"}),
        ("spinnaker/pipeline_failed", {"application": "shop", "stage": "deploy", "namespace": "shop", "user": "dev-one"}),
        ("sentry/event_alert", {
            "org": "acme-example", "project": "shop", "issue_id": "1170820242", "release": "shop@1.4.2",
            "environment": "production", "triggered_rule": "Errors above 20 in 5 minutes",
        }),
        ("sentry/issue_unresolved", {
            "org": "acme-example", "short_id": "SHOP-7", "event_count": "57", "affected_users": "21",
        }),
        ("datadog/triggered", {"env": "prod", "host": "db1", "monitor": "true", "team": "payments", "monitor_id": "1234"}),
    ],
)  # fmt: skip
def test_what_routes_can_read(name, labels):
    (one,) = alerts(name)
    assert labels.items() <= one.labels.items(), one.labels


def test_figures_and_dates():
    (fired,) = alerts("grafana/firing")
    assert (fired.value, fired.fired_at.isoformat()) == (96.2, "2026-11-26T09:58:00+00:00")
    _, several = alerts("grafana/no_data_and_several_values")
    assert several.value is None
    (pipeline,) = alerts("spinnaker/pipeline_failed")
    assert pipeline.fired_at.isoformat() == "2026-11-26T09:47:10+00:00"
    (monitor,) = alerts("datadog/triggered")
    assert monitor.fired_at.isoformat() == "2026-11-26T09:59:10+00:00"


@pytest.mark.parametrize("name", [name for name, meaning in MEANINGS if meaning])
def test_a_date_ahead_of_ours_is_now(name):
    early = NOW - 40 * 86_400
    assert all(one.fired_at.timestamp() <= early for one in alerts(name, now=early))


@pytest.mark.parametrize("name", [name for name, meaning in MEANINGS if meaning])
def test_the_same_message_twice_is_one_telling(name):
    first, again = alerts(name), alerts(name, now=NOW + 60)
    assert [one.event_id for one in first] == [one.event_id for one in again]
    assert all(one.event_id for one in first)


@pytest.mark.parametrize("name", ["alertmanager/two_firing_one_resolved", "grafana/firing", "datadog/triggered"])
def test_what_goes_on_firing_is_heard_again_and_its_end_is_told_once(name):
    for first, later in zip(alerts(name), alerts(name, now=NOW + FIVE_MINUTES), strict=True):
        assert (first.event_id == later.event_id) is first.resolved
        assert first.condition == later.condition != ""


def test_an_end_belongs_to_its_beginning():
    for fired, ended in (("grafana/firing", "grafana/resolved"), ("datadog/triggered", "datadog/recovered")):
        assert alerts(fired)[0].condition == alerts(ended)[0].condition


def test_the_second_attempt_of_a_run_is_another_matter():
    first, second = alerts("github/workflow_run_failed"), alerts("github/workflow_run_second_attempt_timed_out")
    assert first[0].event_id != second[0].event_id
    assert second[0].labels["run_attempt"] == "2"


def test_people_s_data_and_secrets_are_not_kept():
    (event,) = alerts("sentry/event_alert")
    assert "someone@mail.example" not in event.model_dump_json()
    assert "192.0.2.7" not in event.model_dump_json()
    (flux,) = alerts("flux/no_metadata")
    assert "s3cretpass" not in json.dumps(flux.raw)
    (run,) = alerts("github/workflow_run_failed")
    assert "dev-one@users.example" not in json.dumps(run.raw)


# -- who sent it -------------------------------------------------------------------------------------------------------------


def signed(source: str, body: bytes, secret: str = SECRET, at: float = NOW) -> dict[str, str]:
    match source:
        case "github":
            return {"X-Hub-Signature-256": f"sha256={mac(body, secret)}"}
        case "flux":
            return {"X-Signature": f"sha256={mac(body, secret)}"}
        case "sentry":
            return {"Sentry-Hook-Signature": mac(body, secret), "Sentry-Hook-Timestamp": f"{at:.0f}"}
        case "grafana":
            dated = f"{at:.0f}"
            return {
                "X-Grafana-Alerting-Signature": mac(f"{dated}:".encode() + body, secret),
                "X-Grafana-Alerting-Timestamp": dated,
            }
        case _:
            return {"Authorization": f"Bearer {secret}"}


def verify(source: str, body: bytes, headers: dict[str, str], now: float = NOW) -> None:
    told = Incoming({key.lower(): value for key, value in headers.items()}, body, now)
    SOURCES[source].verify(told, SECRET, 300)


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_who_knows_the_secret_is_heard(source):
    body = b'{"a": 1}'
    verify(source, body, signed(source, body))


@pytest.mark.parametrize("source", sorted(SOURCES))
@pytest.mark.parametrize("wrong", ["nothing", "another secret", "no secret", "another header", "too long"])
def test_who_does_not_is_not(source, wrong):
    body = b'{"a": 1}'
    headers = {
        "nothing": {},
        "another secret": signed(source, body, "another-secret-of-some-length"),
        "no secret": signed(source, body, ""),
        "another header": {"X-Hub-Signature": mac(body)},
        "too long": dict.fromkeys(signed(source, body), "0" * 5000),
    }[wrong]
    with pytest.raises(NotSigned) as refused:
        verify(source, body, headers)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("source", ["github", "flux", "sentry", "grafana"])
def test_a_signature_is_of_these_very_bytes(source):
    headers = signed(source, b'{"a": 1}')
    with pytest.raises(NotSigned, match="wrong signature"):
        verify(source, b'{"a": 2}', headers)
    with pytest.raises(NotSigned, match="hex HMAC-SHA256"):
        verify(source, b'{"a": 1}', {name: value[:-1] if len(value) > 20 else value for name, value in headers.items()})


@pytest.mark.parametrize("source", ["sentry", "grafana"])
def test_a_message_that_is_dated_may_not_be_old(source):
    body = b"{}"
    verify(source, body, signed(source, body, at=NOW - 299))
    for at in (NOW - 400, NOW + 400):
        with pytest.raises(NotSigned, match="stale"):
            verify(source, body, signed(source, body, at=at))


def test_grafana_may_sign_without_a_date_or_not_sign_at_all():
    body = b"{}"
    verify("grafana", body, {"X-Grafana-Alerting-Signature": mac(body)})
    verify("grafana", body, {"Authorization": f"Bearer {SECRET}"})
    with pytest.raises(NotSigned):
        verify("grafana", body, {"X-Grafana-Alerting-Signature": "0" * 64, "Authorization": f"Bearer {SECRET}"})


def test_every_source_has_its_settings():
    assert {*SOURCES, "generic"} == set(WebhooksSection.model_fields)


# -- whatever comes --------------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def understood(source: str, payload: dict[str, Any], headers: dict[str, str]) -> bool:
    """Raises whatever else a source raises."""
    try:
        told = SOURCES[source].parse(payload, incoming(payload, headers))
    except BadSignal as wrong:
        return bool(wrong.field)
    return all(isinstance(one, Alert | Malformed) for one in told)


@given(st.sampled_from(names()), st.dictionaries(st.text(max_size=12), JSON, max_size=5))
def test_any_json_is_understood_or_refused_by_its_field(name, payload):
    assert understood(name.partition("/")[0], payload, recorded(name)[1])


@settings(max_examples=300)
@given(st.sampled_from(names()), st.data())
def test_any_part_of_a_payload_may_be_something_else(name, data):
    payload, headers = recorded(name)
    at: Any = payload
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        inner = at[key]
        if isinstance(inner, dict | list) and inner and data.draw(st.booleans()):
            at = inner
            continue
        at[key] = data.draw(JSON)
        break
    assert understood(name.partition("/")[0], payload, headers)


@pytest.mark.parametrize("event", ["workflow_run", "check_suite", "deployment_status"])
def test_a_conclusion_that_is_no_word_is_none_of_the_bad_ones(event):
    told = {
        "check_suite": "check_suite_failed",
        "workflow_run": "workflow_run_failed",
        "deployment_status": "deployment_failed",
    }
    body, _ = recorded(f"github/{told[event]}")
    word = "state" if event == "deployment_status" else "conclusion"
    assert heard(f"github/{told[event]}", **{event: {**body[event], word: ["failure"]}}) == []


def test_a_part_that_cannot_be_read_is_named():
    (wrong,) = heard("github/workflow_run_failed", repository={"full_name": "nobody"})
    assert wrong == Malformed("repository.full_name", "owner/name")
    (wrong,) = heard("sentry/event_alert", data={"event": {"title": "x"}})
    assert wrong.field == "data.event"
    (wrong,) = heard("datadog/triggered", transition="")
    assert wrong.field == "transition"
