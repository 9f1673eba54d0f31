"""An issue of Sentry's has errors much faster than usual.

Find out from its latest event and from what was deployed whether the running release brought it, whether a database
refuses connections, memory ran out or an upstream fails. BytePort acts only through commands that the operator enabled:
fixed words in the configuration, run detached on a command host; nothing that an event says becomes a part of them.
What a database causes is for the runbook of that database. Texts of events are written by whoever caused an error: they
are compared with patterns and never obeyed.
"""

from __future__ import annotations

from byteport.actions.commands import RunCommand
from byteport.grammar.action import Action
from byteport.grammar.guards import Budget, Enabled, Requires
from byteport.grammar.plan import HandOver, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of, not_
from byteport.model.signal import Severity
from byteport.model.target import Target, TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.application import application_error_story as story
from byteport.runbooks.application.application_error_evidence import ErrorEvidence

ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
BREAKERS = 'resilience4j_circuitbreaker_state{state="open"} == 1 or envoy_cluster_circuit_breakers_default_rq_open == 1'
LATENCIES = (
    "topk(5, histogram_quantile(0.99, sum by (le, envoy_cluster_name) "
    "(rate(envoy_cluster_upstream_rq_time_bucket[5m]))) / 1000)"
)


def project_of(action: Action) -> str:
    return action.project if isinstance(action, RunCommand) else ""


def deployment_of(action: Action) -> str:
    return action.deployment if isinstance(action, RunCommand) else ""


NEEDED = (
    Requires(name="structured_reason", condition=ErrorEvidence.can_be_named, reads=("issue",),
             value="short id, permalink, event count and affected users are known"),
    Requires(name="error_spike", until_begun=True, condition=ErrorEvidence.is_a_spike, reads=("rates",),
             value="20 events in the window, at spikeMultiplier times the usual rate"),
    Requires(name="command_project", condition=ErrorEvidence.is_of_the_project, as_kind="allowlist",
             value="the commands are for the one project that the configuration names"),
    Budget(name="app_action_rate", limit=1, per=hours(1), counter="app_action", scope=project_of, by_amount=False,
           scope_name="per project"),
)  # fmt: skip
ROLL_BACK = Move("roll_back", RunCommand, (
    Enabled(name="rollback_opt_in", switch="rollbackEnabled"),
    Requires(name="deploy_window", until_begun=True, reads=("issue", "stack_trace", "deploy_sha"),
             condition=all_of(ErrorEvidence.was_deployed_lately, ErrorEvidence.began_after_the_deploy,
                              ErrorEvidence.comes_from_the_running_release),
             value="deployCorrelationMinutes, 30"),
    Requires(name="explicit_revision", until_begun=True, reads=("deploy_sha",),
             condition=ErrorEvidence.goes_back_from_this_release,
             value="rollbackRevision, not 0, as the way back from rollbackFromRelease"),
    *NEEDED,
    Budget(name="deployment_rollback_rate", limit=1, per=hours(1), counter="deployment_rollback", scope=deployment_of,
           by_amount=False, scope_name="per deployment, over all runbooks"),
))  # fmt: skip
SCALE_UP = Move("scale_up", RunCommand, (
    Enabled(name="scale_opt_in", switch="scaleUpEnabled"),
    Requires(name="scales_up", until_begun=True, condition=ErrorEvidence.scales_up, reads=("scale",), as_kind="ceiling",
             value="more replicas than now, at most the HPA's maximum"),
    Requires(name="no_known_leak", condition=ErrorEvidence.no_leak_is_known, reads=("known_leaks",),
             value="no leak diagnosed by oomkilled_memory_pressure in 7 days"),
    *NEEDED,
))  # fmt: skip


def roll_back(e: ErrorEvidence) -> Plan:
    if e.options.get("rollbackEnabled") is not True:
        return left("rollback is not enabled", withheld=True)
    if not e.has_a_revision:
        return left("rollbackCommand names no explicit revision (rollbackRevision, not 0): nothing says where it leads")
    if not e.goes_back_from_this_release():
        return left(f"rollbackCommand goes back from {e.option('rollbackFromRelease') or 'no release that is named'}")
    return run(e, "rollbackCommand", ROLL_BACK, "rollback")


def add_replicas(e: ErrorEvidence) -> Plan:
    if e.options.get("scaleUpEnabled") is not True:
        return left("scaling up is not enabled", withheld=True)
    if e.replicas_asked is None or not e.names_the_deployment:
        return left("scaleUpCommand does not name its deployment, with its namespace, and one count of replicas")
    if e.scale is None:
        return left("no metrics tell how many replicas there are")
    if not e.scales_up():
        most = f", its HPA allows {e.scale.hpa_maximum}" if e.scale.hpa_maximum is not None else ""
        return left(f"{e.replicas_asked} replicas are asked for: there are {e.scale.replicas}{most}")
    if not e.no_leak_is_known():
        return left("more replicas of a workload that leaks leak more: a leak is known", withheld=True)
    return run(e, "scaleUpCommand", SCALE_UP, "scale_up")


def run(e: ErrorEvidence, option: str, move: Move, what: str) -> Plan:
    """One step; whoever has not configured all that it needs decides by hand."""
    argv, needed = e.words(option), ("commandHost", "deployment", "project")
    if missing := [name for name in (option, *needed) if not e.options.get(name)]:
        return left(f"not configured: {', '.join(missing)}")
    if not e.is_of_the_project():
        return left(f"the commands are for the project {e.option('project')}", withheld=True)
    step = move(
        what=what, host=e.option("commandHost"), argv=argv, deployment=e.option("deployment"),
        environment=e.options.get("commandEnvironment") or {}, project=e.option("project"),
    )  # fmt: skip
    return Plan(steps=(step,))


def for_the_database(e: ErrorEvidence) -> Plan:
    """Sentry does not know which database it is; the configuration does."""
    key = e.option("database")
    if not key:
        return left("which database it is has to be told: the option database")
    if e.option("project") and not e.is_of_the_project():
        return left(f"the database is that of the project {e.option('project')}")
    reason = f"{e.issue.short_id}: {story.line(e, 'db_connection')}"
    database = Target(kind=TargetKind.DATABASE, key=key, coordinates={"issue": e.issue.id})
    return Plan(end=HandOver(signal="db_connections_saturated", target=database, reason=reason))


def for_the_upstream(e: ErrorEvidence) -> Plan:
    return left(f"an upstream fails: {story.upstreams_in_words(e)}")


def left(reason: str, *, withheld: bool = False) -> Plan:
    return Plan(end="escalate", reason=reason, withheld=withheld)


RUNBOOK = Runbook(
    name="application_error",
    title="Sentry application errors",
    category="application",
    summary="Sorts Sentry errors by stack trace into five classes, links them to a recent deploy or to the runbook of "
    "the database, and acts only through commands that the operator enabled.",
    signals=(
        OnSignal("application_error", severity=Severity.HIGH,
                 threshold="events a minute >= spikeMultiplier x baseline in the window, at least 20 events"),
    ),
    target=TargetKind.ISSUE,
    target_key="issue id",
    evidence=ErrorEvidence,
    well=not_(ErrorEvidence.is_a_spike),
    moves=(ROLL_BACK, SCALE_UP),
    rules=(
        Rule("deploy_correlation", 0.80, "act", then=roll_back, says=story.why("deploy_correlation"),
             when=all_of(ErrorEvidence.was_deployed_lately, ErrorEvidence.began_after_the_deploy,
                         ErrorEvidence.comes_from_the_running_release)),
        Rule("db_connection", 0.80, "escalate", when=ErrorEvidence.database_refuses_connections,
             then=for_the_database, says=story.why("db_connection")),
        Rule("oom", 0.80, "act", when=ErrorEvidence.memory_ran_out, then=add_replicas, says=story.why("oom")),
        Rule("upstream_5xx", 0.80, "escalate", when=ErrorEvidence.upstream_answers_5xx, then=for_the_upstream,
             says=story.why("upstream_5xx")),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "api": ("Sentry: org:read, project:read and event:read, and nothing that writes",),
        "host": ("whatever rollbackCommand needs, as the command host's ordinary user",
                 "whatever scaleUpCommand needs, as the command host's ordinary user"),
    },
    options=(
        Option("org", "", "Sentry organisation", elsewhere="sentry.org"),
        Option("authToken", "", "Sentry login", elsewhere="sentry.token or sentry.token_file"),
        Option("project", "", "the one project whose commands and database stand here"),
        Option("windowSeconds", 300, "look-back window in seconds", least=60, most=3600),
        Option("spikeMultiplier", 2.0, "times the usual rate from which it is a spike", least=1.1, most=100),
        Option("rollbackEnabled", False, "allow rollbackCommand"),
        Option("rollbackCommand", [], "its words, the first an absolute path, with an explicit revision"),
        Option("rollbackRevision", "", "the revision that stands in rollbackCommand; not 0"),
        Option("rollbackFromRelease", "", "the release that rollbackCommand goes back from; no other is rolled back"),
        Option("scaleUpEnabled", False, "allow scaleUpCommand"),
        Option("scaleUpCommand", [], "its words, the first an absolute path, with --replicas, namespace and name"),
        Option("deployCorrelationMinutes", 30, "how long after a deploy an issue may be its doing", least=1, most=120),
        Option("environment", "production", "the environment whose deploys count"),
        Option("deployment", "", "what the commands change, as cluster/namespace/deployment"),
        Option("commandHost", "", "where commands run, one of the configuration's hosts", names="hosts"),
        Option("commandEnvironment", ENVIRONMENT, "all that the commands find in their environment"),
        Option("database", "", "the project's database as host/dbname: who refuses connections is treated there"),
        Option("circuitBreakerQuery", BREAKERS, "PromQL: one series for each open circuit breaker"),
        Option("upstreamLatencyQuery", LATENCIES, "PromQL: seconds by upstream"),
    ),
    verify=(
        Check("events a minute under spikeMultiplier x the usual rate for 5 min", ErrorEvidence.rate_is_usual,
              ("rates",), within=minutes(15), every=seconds(30), steady=minutes(5)),
    ),
    escalate=Escalation(
        channels=("postmark", "github_issue", "slack"), once_per=hours(24), per=("issue_id", "class"),
        on_duplicate="comment", anew=story.anew, content=story.CONTENT, summary=story.summary, bundle=story.bundle,
        manual=story.commands, fix=story.permanent_fix,
    ),
    proven_on=("systemd 252",),
)  # fmt: skip
