"""A service of a host holds most of its memory, and none is left: it is restarted by what its platform offers.

Only a managed one: labelled by the host's people, or listed; one that keeps data only if it is listed. One that was
just released is handed to whoever rolls back, and one that keeps being restarted is told of and not restarted again. A
reading right after a restart is always low: it has recovered when it is below the threshold half a minute and two
minutes after, and the service is healthy. So far services of systemd are restarted; of others people are told how.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from byteport.actions.units import RestartUnit
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Requires
from byteport.grammar.plan import EndIf, Look, Pause, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import not_
from byteport.model.privileged import OPEN_FILES, restarts
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, seconds
from byteport.runbooks.linux import memory_auto_recover_story as story
from byteport.runbooks.linux.host_evidence import host_opt_in
from byteport.runbooks.linux.memory_auto_recover_evidence import RecoverEvidence, why_unmanaged
from byteport.runbooks.linux.memory_guards import SERVICE_RESTARTS, OnceOnly, crash_loop
from byteport.runbooks.linux.unit_guards import UnitGuard


def not_managed(unit: str, facts: Facts) -> str:
    evidence = facts.evidence
    assert isinstance(evidence, RecoverEvidence)  # noqa: S101 - the page's own
    return why_unmanaged(evidence, unit)


RESTART = Move("restart", RestartUnit, (
    Requires(name="unknown_env", condition=RecoverEvidence.runs_on_systemd, reads=("runtime_env",),
             value="restart method known"),
    Requires(name="render_credentials", condition=RecoverEvidence.has_credentials, reads=("runtime_env",),
             value="renderServiceId and renderApiKey set, where it runs on Render"),
    UnitGuard(name="managed", why_not=not_managed, reads=("consumer_kind",), as_kind="allowlist",
              value="labelled byteport.restart=safe, or in restartAllowed; stateful only in restartAllowed"),
    Requires(name="deploy_hand_off", condition=not_(RecoverEvidence.was_released_lately), reads=("recent_deploys",),
             value="no release in the last 60 min"),
    Requires(name="no_loop", condition=not_(RecoverEvidence.is_in_a_loop), reads=("restart_history",), on_hit="page",
             until_begun=True, value="fewer restarts in the window than crashLoopMaxRestarts"),
    OnceOnly(name="recovery_threshold", below=RecoverEvidence.is_below_the_threshold,
             value="recoveryThresholdPct = 80: still above after a restart is for a person"),
    crash_loop(option="crashLoopMaxRestarts", window_option="crashLoopWindowMs"),
    SERVICE_RESTARTS,
))  # fmt: skip


def restart(e: RecoverEvidence) -> Plan:
    """The sample after 3 s is for information; the one after 30 s must be below, and verification has the last."""
    return Plan(steps=(
        RESTART(host=e.host, unit=e.unit, group=e.inventory.group),
        Pause(length=seconds(3)),
        Look(fields=("proc_meminfo",)),
        Pause(length=seconds(27)),
        Look(fields=("proc_meminfo", "consumer_kind", "top_memory", "restart_history", "audit")),
        EndIf(check="is_still_above", end="escalate"),
    ))  # fmt: skip


def hand_over(e: RecoverEvidence) -> Plan:
    """On systemd a person decides: memory that grows after a release does not prove that it failed."""
    return left(f"not restarted: {e.recent_deploys}; look at that release first")


def for_people(e: RecoverEvidence) -> Plan:
    return left(story.why_left(e))


def left(reason: str, *, withheld: bool = False) -> Plan:
    return Plan(end="escalate", reason=reason, withheld=withheld)


def unmanaged(e: RecoverEvidence) -> Plan:
    return left(f"left alone: {e.unmanaged}", withheld=True)


def loops(e: RecoverEvidence) -> Plan:
    return left(f"crash_loop_guard: {story.history(e)}: another restart would hide why", withheld=True)


def nothing_to_do(e: RecoverEvidence) -> Plan:
    return Plan(reason=story.use(e))


def as_root(_options: Mapping[str, Any], units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo, for these services."""
    return [*restarts(units), OPEN_FILES]


RUNBOOK = Runbook(
    name="memory_pressure_auto_recover",
    title="Memory recovery by graceful service restart",
    category="linux",
    summary="Restarts the managed service that uses most memory by whatever method its platform offers, unless it was "
    "just deployed or keeps being restarted.",
    signals=(OnSignal("memory_pressure", threshold="MemAvailable < 10%", severity=Severity.CRITICAL),),
    target=TargetKind.SERVICE,
    target_key="name@host",
    evidence=RecoverEvidence,
    well=RecoverEvidence.is_below_the_threshold,
    guards=(host_opt_in("memory"),),
    moves=(RESTART,),
    checks={"is_still_above": ("proc_meminfo",)},
    rules=(
        Rule("not_on_a_host", 0.75, "escalate", when=not_(RecoverEvidence.runs_on_systemd), then=for_people,
             says=story.elsewhere),
        Rule("not_exhausted", 0.75, "audit_only", when=not_(RecoverEvidence.is_exhausted), then=nothing_to_do,
             says=story.use),
        Rule("another_consumer", 0.75, "escalate", when=not_(RecoverEvidence.is_the_largest), then=for_people,
             says=story.largest),
        Rule("unmanaged_consumer", 0.75, "escalate", when=not_(RecoverEvidence.is_managed), then=unmanaged,
             says=story.largest),
        Rule("just_released", 0.75, "escalate", when=RecoverEvidence.was_released_lately, then=hand_over,
             says=story.released),
        Rule("crash_loop", 0.75, "escalate", when=RecoverEvidence.is_in_a_loop, then=loops, says=story.history),
        Rule("managed_consumer", 0.75, "act", when=RecoverEvidence.is_the_largest, then=restart, says=story.largest),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "host": ("log in as an ordinary user; read /proc, /sys/fs/cgroup, /etc/byteport/host.yaml and unit files",
                 "stat what services run"),
        "sudo": ("systemctl try-restart --no-block -- UNIT, for managed services only",
                 "find /proc … -path /proc/[0-9]*/fd/*: open files and sockets of everybody's processes (optional)"),
    },
    as_root=as_root,
    options=(
        Option("crashLoopMaxRestarts", 2, "restarts that trip the guard", least=1),
        Option("crashLoopWindowMs", 1_800_000, "window of the guard in milliseconds", least=1_800_000, most=86_400_000),
        Option("deployLookbackMinutes", 60, "minutes after a release without a restart", least=60, most=1440),
        Option("recoveryThresholdPct", 80, "percent used to get below", least=10, most=80),
        Option("restartAllowed", [], "services (NAME or NAME@HOST) that may be restarted beside the labelled ones"),
        Option("renderServiceId", "", "Render service; environment: RENDER_SERVICE_ID"),
        Option("renderApiKey", "", "Render credential", elsewhere="pollers.render.api_key or api_key_file"),
    ),
    verify=(
        Check("memory < recoveryThresholdPct (80), 30s and 120s after the restart",
              RecoverEvidence.is_below_the_threshold, ("proc_meminfo",), after=seconds(90)),
        Check("the service is healthy", RecoverEvidence.is_healthy, ("consumer_kind",), after=seconds(90)),
    ),
    escalate=Escalation(
        channels=("postmark", "slack", "pagerduty"), once_per=hours(24), per=("service",), on_duplicate="comment",
        anew=story.anew, content=story.CONTENT, summary=story.summary, bundle=story.bundle, manual=story.commands,
        fix=story.permanent_fix,
    ),
    proven_on=("systemd 252",),
)  # fmt: skip
