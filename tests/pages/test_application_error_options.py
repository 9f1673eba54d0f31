"""The page on application errors: what the configuration must say before anything is run."""

from __future__ import annotations

import pytest

from byteport.model.facts.application import WorkloadScale
from byteport.records.incident import Phase
from byteport.runbooks.application.application_error import RUNBOOK
from byteport.settings import Settings
from byteport.settings.pages import problems_with
from tests.pages.application import DEPLOYMENT, ENABLED, ROLLBACK, SCALE_UP, SLUG
from tests.pages.test_application_error import OOM, started
from tests.pages.test_application_error_guards import planned_scale_up, went_well
from tests.sentry_server import PROJECT, raised

# ── what it says, and what follows ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("usual", "now_rate", "spikes"), [(1.0, 60.0, True), (40.0, 60.0, False), (0.1, 3.0, False)])
def test_only_a_spike_is_acted_on(desk, usual, now_rate, spikes):
    desk.correlated()
    desk.sentry.usual, desk.sentry.now_rate = usual, now_rate
    ended = desk.treat()
    assert len(started(desk)) == spikes
    assert ("error_spike" in desk.refusals(ended)) is not spikes


def test_the_commands_are_for_one_project(desk):
    desk.correlated()
    desk.options(project="billing")
    ended = desk.treat()
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert "the commands are for the project billing" in ended.reason


def test_an_issue_of_another_organisation_is_not_even_looked_at(desk):
    ended = desk.treat(org="another-example")
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert desk.sentry.http.asked == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rollbackEnabled": False}, "rollback is not enabled"),
        ({"rollbackRevision": "0", "rollbackCommand": [*ROLLBACK[:3], "0"]}, "no explicit revision"),
        ({"rollbackRevision": ""}, "no explicit revision"),
        ({"rollbackRevision": "42"}, "no explicit revision"),
        ({"rollbackCommand": ["/usr/bin/kubectl", "rollout", "undo", "deployment/api", "--to-revision=0"],
          "rollbackRevision": "0"}, "no explicit revision"),
        ({"rollbackFromRelease": "shop@1.9.9"}, "goes back from shop@1.9.9"),
        ({"rollbackFromRelease": ""}, "goes back from no release"),
        ({"commandHost": ""}, "not configured: commandHost"),
        ({"deployment": ""}, "not configured: deployment"),
        ({"project": ""}, "not configured: project"),
    ],
)  # fmt: skip
def test_a_rollback_that_is_not_wholly_configured_is_for_people(desk, options, why):
    desk.correlated()
    desk.options(**options)
    ended = desk.treat()
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert why in ended.reason


def test_a_revision_of_kubectl_s_is_explicit_too(desk):
    desk.correlated()
    words = ["/usr/bin/kubectl", "rollout", "undo", "deployment/api", "-n", "shop", "--to-revision=41"]
    desk.options(rollbackCommand=words)
    assert desk.treat().ending == "resolved"
    assert started(desk) == [tuple(words)]


@pytest.mark.parametrize(
    ("workload", "options", "why"),
    [
        (WorkloadScale(workload=DEPLOYMENT, replicas=6), {}, "6 replicas are asked for: there are 6"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=9), {}, "6 replicas are asked for: there are 9"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=3, hpa_maximum=5), {}, "its HPA allows 5"),
        (None, {}, "no metrics tell how many replicas there are"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=3), {"scaleUpEnabled": False}, "scaling up is not enabled"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=3), {"scaleUpCommand": SCALE_UP[:-1]}, "one count of replicas"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=3), {"scaleUpCommand": [*SCALE_UP, "--replicas=7"]},
         "one count of replicas"),
        (WorkloadScale(workload=DEPLOYMENT, replicas=3), {"scaleUpCommand": [w.replace("api", "web") for w in SCALE_UP]},
         "does not name its deployment"),
    ],
)  # fmt: skip
def test_more_replicas_only_where_they_are_more_and_allowed(desk, workload, options, why):
    desk.sentry.exceptions = [raised(*OOM)]
    desk.metrics.workload = workload
    desk.options(**options)
    ended = desk.treat()
    assert (ended.phase, started(desk)) == (Phase.ESCALATE, [])
    assert why in ended.reason


def test_replicas_within_the_hpa_are_added(desk):
    desk.metrics.workload = WorkloadScale(workload=DEPLOYMENT, replicas=3, hpa_maximum=6)
    went_well(desk, planned_scale_up(desk))


@pytest.mark.parametrize(("name", "added"), [("genuine_memory_leak", False), ("traffic_spike", True)])
def test_a_leak_that_another_incident_found_keeps_replicas_from_being_added(desk, name, added):
    desk.remember("oomkilled_memory_pressure", name, f"deployment:{DEPLOYMENT}")
    desk.sentry.exceptions = [raised(*OOM)]
    desk.manager.does = desk.calm
    ended = desk.treat()
    assert len(started(desk)) == added
    assert ("a leak is known" in ended.reason) is not added


# ── the configuration ────────────────────────────────────────────────────────────────────────────────────────────────


def wrong(**options) -> str:
    settings = Settings.model_validate({
        "runbooks": {SLUG: {"options": options}},
        "hosts": {"ops1": {"transport": "local"}},
    })  # fmt: skip
    return "; ".join(
        f"{where.rpartition('.')[2]}: {expected}" for where, expected in problems_with(settings, (RUNBOOK,))
    )


def test_a_whole_configuration_is_taken():
    assert wrong(**{**ENABLED, "project": PROJECT}) == ""


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"authToken": "x"}, "it is set as sentry.token or sentry.token_file"),
        ({"org": "acme-example"}, "it is set as sentry.org"),
        ({"rollbackCommand": "helm rollback api 41"}, "a list of texts, one for each word"),
        ({"rollbackCommand": ["/usr/bin/helm", 41]}, "texts"),
        ({"rollbackCommand": ["/usr/bin/helm", "--token", "s3cr3t-of-somebody"]}, "no secret"),
        ({"commandEnvironment": {"API_TOKEN": "s3cr3t-of-somebody"}}, "no secret"),
        ({"commandEnvironment": ["A=b"]}, "a mapping of names to texts"),
        ({"commandHost": "ops9"}, "one of hosts"),
        ({"spikeMultiplier": 0.5}, "at least 1.1"),
        ({"windowSeconds": 5}, "at least 60"),
    ],
)
def test_what_cannot_be_is_told_at_start(options, why):
    assert why in wrong(**options)
