"""A service was killed for want of memory, or is about to be: sorted by its cause, and only a leak is restarted.

Whose fault it is comes first: a heap that may grow past the limit, a neighbor, the traffic, a leak, the limit itself.
Measured is the working set against the service's own limit, or the host where it has none. What raises a limit or a
heap is proposed and never applied. This is the half for services of a host; of Kubernetes people are told for now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from byteport.actions.heap import CaptureHeap
from byteport.actions.units import RestartUnit
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Never, Requires
from byteport.grammar.plan import Await, Do, Pause, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of, not_
from byteport.model.privileged import restarts
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.linux import memory_oom_plans as plans
from byteport.runbooks.linux import memory_oom_story as story
from byteport.runbooks.linux.host_evidence import host_opt_in
from byteport.runbooks.linux.memory_guards import SERVICE_RESTARTS
from byteport.runbooks.linux.memory_oom_evidence import OomEvidence
from byteport.runbooks.linux.memory_oom_guards import (
    LIMITS,
    PATCH,
    Backoff,
    OnLimits,
    StatefulAllowlist,
    backoff,
    not_tried,
    over_the_cap,
)
from byteport.runbooks.linux.unit_guards import UnitGuard


def not_opted_in(_unit: str, facts: Facts) -> str:
    evidence = facts.evidence
    assert isinstance(evidence, OomEvidence)  # noqa: S101 - the page's own
    return plans.kept_from_restart(evidence)


LABEL = UnitGuard(name="restart_label", why_not=not_opted_in, reads=("consumer_kind",), as_kind="label_gate",
                  value="byteport.restart=safe, as X-Byteport-Restart=safe in a file of root's")  # fmt: skip
CAPTURE = Move("capture_heap", CaptureHeap, (
    Requires(name="capture_allowed", condition=lambda e: not plans.no_capture(e), until_begun=True,
             reads=("runtime", "jvm_heap_info", "cgroup_memory_stat", "proc_meminfo"), on_hit="skip",
             value="1.5 x used heap free, memory use < 97 %, never SIGUSR1"),
))  # fmt: skip
RESTART = Move("restart", RestartUnit, (
    LABEL,
    Requires(name="pressed", condition=OomEvidence.is_pressed, reads=("cgroup_memory_stat", "proc_meminfo"),
             until_begun=True, value="working set >= 90 % of limit in every 10s sample for 90 s"),
    SERVICE_RESTARTS,
    Backoff(name="restart_backoff", per=seconds(30), counter="restart_backoff", reads=("restart_history",),
            on_hit="wait", scope_name="per service"),
))  # fmt: skip


def restart(e: OomEvidence) -> Plan:
    """Capture what can be captured, wait for as long as the restarts before say, and restart."""
    if why := plans.kept_from_restart(e):
        return plans.left(f"{story.leak(e)}; left alone: {why}", withheld=True)
    dump = Do(move=CAPTURE.name, action=plans.capture_of(e), otherwise="go_on")
    return Plan(steps=(
        Await(check="is_pressed", within=minutes(3), every=seconds(10), steady=seconds(90)),
        *plans.capture(e, dump),
        Pause(length=backoff(e.used_restarts)),
        RESTART(host=e.host, unit=e.unit, group=e.inventory.group),
    ))  # fmt: skip


def elsewhere(e: OomEvidence) -> Plan:
    return plans.left(f"{story.elsewhere(e)}: look at its limit, its events and its last state there")


def as_root(_options: Mapping[str, Any], units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo, for these services."""
    return restarts(units)


RUNBOOK = Runbook(
    name="memory_pressure_oom",
    title="Memory pressure and OOM kills with five-way root cause",
    category="linux",
    summary="Sorts an OOM kill or a long stretch of high memory use into one of five causes and then restarts, scales, "
    "isolates or only proposes a change, depending on the cause.",
    signals=(
        OnSignal("oom_kill", threshold="any OOM kill", severity=Severity.CRITICAL),
        OnSignal("memory_pressure", threshold="working set >= 90% of limit in every 10s sample for 90s",
                 severity=Severity.CRITICAL),
    ),
    target=TargetKind.SERVICE,
    target_key="service (NAME@HOST)",
    evidence=OomEvidence,
    well=OomEvidence.is_well_below,
    guards=(
        host_opt_in("memory"),
        StatefulAllowlist(name="stateful_allowlist"),
        OnLimits(name="limit_bump_cap", why_not=over_the_cap, verb=LIMITS, value="2x via MAX_LIMIT_BUMP_MULTIPLIER",
                 scope_name="per container"),
        OnLimits(name="server_dry_run", why_not=not_tried, verb=PATCH, as_kind="precondition",
                 value="kubectl --dry-run=server succeeds", scope_name="memory limit patch"),
    ),
    never=(
        Never(name="pr_only_classes", move="restart", in_class="runtime_misconfig", value="auto-apply"),
        Never(name="pr_only_classes", move="restart", in_class="undersized_limit", value="auto-apply"),
        Never(name="no_force_delete", verbs=("force-delete",), value="force-delete", on_hit="page"),
    ),
    moves=(CAPTURE, RESTART),
    checks={"is_pressed": ("cgroup_memory_stat", "proc_meminfo")},
    rules=(
        Rule("not_on_a_host", 0.75, "escalate", when=OomEvidence.runs_elsewhere, then=elsewhere, says=story.elsewhere),
        Rule("runtime_misconfig", 0.93, "propose_pr", when=OomEvidence.heap_exceeds_limit, then=plans.propose_heap,
             says=story.heap),
        Rule("noisy_neighbor", 0.88, "act", when=all_of(OomEvidence.host_is_exhausted, OomEvidence.is_within_its_limit),
             then=plans.name_the_neighbor, says=story.neighbor),
        Rule("traffic_spike", 0.86, "act", when=OomEvidence.follows_traffic, then=plans.compute_limit,
             says=story.traffic),
        Rule("memory_leak", 0.85, "act", when=all_of(OomEvidence.keeps_rising, not_(OomEvidence.follows_traffic)),
             then=restart, says=story.leak),
        Rule("undersized_limit", 0.84, "propose_pr", when=OomEvidence.stands_high, then=plans.propose_limit,
             says=story.plateau),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "host": ("log in as an ordinary user; read /proc, /sys/fs/cgroup, /etc/byteport/host.yaml and unit files",
                 "journalctl -k or dmesg, where this user may (supporting only)"),
        "sudo": ("systemctl try-restart --no-block -- UNIT, for opted-in services only",),
    },
    as_root=as_root,
    options=(
        Option("MAX_LIMIT_BUMP_MULTIPLIER", 2.0, "cap of a memory limit bump", least=1, most=2),
        Option("BYTEPORT_STATEFUL_ALLOWLIST", [], "stateful services (NAME or NAME@HOST) that may be touched"),
        Option("heap_headroom_pct", 25, "share of the limit left outside the heap", least=25, most=75),
        Option("pr_limit_factor", 1.5, "factor over p99 use in the proposal", least=1.1, most=2),
        Option("heapDumpCommand", [], "the operator's words that capture the heap, the first an absolute path"),
        Option("heapDumpFolder", "", "where it writes to, on a volume with room; 0600, never attached"),
        Option("historyQuery", "", "PromQL for bytes by service with {host} in it; not given: BytePort's own looks"),
        Option("requestRateQuery", "", "PromQL for requests a second of the service; not given: not compared"),
    ),
    verify=(
        Check("RSS < 70% of limit", OomEvidence.is_well_below, ("cgroup_memory_stat", "proc_meminfo"),
              within=minutes(10), every=seconds(30), steady=minutes(5)),
        Check("no new OOM kill", OomEvidence.was_not_killed_again, ("cgroup_memory_stat", "proc_meminfo"),
              within=minutes(10), every=seconds(30), steady=minutes(5)),
        Check("error rate <= 1.2 x the usual", OomEvidence.errors_are_usual, (), within=minutes(10), every=seconds(30)),
    ),
    escalate=Escalation(
        channels=("postmark", "github_issue", "pagerduty"), once_per=hours(1), per=("service",),
        on_duplicate="comment", anew=story.anew, content=story.CONTENT, summary=story.summary, bundle=story.bundle,
        manual=story.commands, fix=story.permanent_fix,
    ),
    proven_on=("systemd 252", "cgroup v1"),
)  # fmt: skip
