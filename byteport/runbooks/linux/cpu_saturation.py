"""A host's CPUs stay saturated: the service behind it gets less of them first, and is restarted only if that is not
enough.

Saturated means busier than 85 % in every reading for 90 s. A look at a host watches half of that, so that no worker is
held for long; the plan looks once more, and the host's own clock and counters say that the two make a whole. Only a
service whose own files allow it is touched, and only where use would come down without it; what runs in pods is for
Kubernetes. oom_score_adj is left alone: it ranks victims of the OOM killer and moves no CPU. Load that comes of memory
is for the runbooks on memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from byteport.actions.units import DemoteUnit, OfUnit, RestartUnit, RestoreUnitWeight
from byteport.grammar.action import Action
from byteport.grammar.guards import Budget, Cooldown, Requires
from byteport.grammar.plan import Await, EndIf, HandOver, Look, Plan, Tell, Undo
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import not_
from byteport.model.privileged import restarts, weights
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.linux import cpu_saturation_story as story
from byteport.runbooks.linux.cpu_saturation_evidence import OPT_OUT, CpuEvidence
from byteport.runbooks.linux.cpu_saturation_guards import DEMOTIONS, Sustained, demoted_first, still_the_matter
from byteport.runbooks.linux.host_evidence import host_opt_in
from byteport.runbooks.linux.unit_guards import UnitGuard, deny_list, restart_label

DEMOTED = 20


def host_of(action: Action) -> str:
    return action.host if isinstance(action, OfUnit) else ""


ON_A_HOST = (
    host_opt_in("cpu"),
    Requires(name="optout", as_kind="annotation_gate", condition=CpuEvidence.not_opted_out, reads=("optout",),
             on_hit="end", value=f"{OPT_OUT}: true"),
    Requires(name="not_memory_driven", condition=not_(CpuEvidence.swaps), reads=("vmstat",), until_begun=True,
             value="no swap activity"),
)  # fmt: skip
OF_A_SERVICE = (deny_list(), restart_label())
DEMOTE = Move("demote", DemoteUnit, (
    *OF_A_SERVICE,
    Sustained(name="sustained", condition=CpuEvidence.sustained, reads=("proc_stat",), on_hit="end", until_begun=True,
              value="90s above 85%"),
    Budget(name=DEMOTIONS, limit=3, per=hours(1), scope_name="per unit"),
), undo=RestoreUnitWeight)  # fmt: skip
RESTART = Move("restart", RestartUnit, (
    *OF_A_SERVICE,
    UnitGuard(name="demote_first", why_not=demoted_first, value="step 3 tried before step 4", scope_name="per process"),
    UnitGuard(name="still_the_matter", why_not=still_the_matter, reads=("cpu_now",), on_hit="skip", until_begun=True,
              value="it still keeps the CPUs over the recovery level"),
    Budget(name="service_restarts", limit=3, per=hours(1), counter="service_restarts", scope_name="per unit"),
    Cooldown(name="host_cooldown", per=minutes(5), counter="host_cooldown", scope=host_of, on_hit="skip",
             scope_name="per host"),
))  # fmt: skip


def demote_then_restart(e: CpuEvidence) -> Plan:
    """One service, the heaviest: less of the CPUs, and a restart if they are not below the recovery level in time."""
    consumer = e.consumer
    if consumer is None:
        return left("the service is not the matter any more")
    if (weight := consumer.unit.cpu_weight) is not None:
        return left(f"{consumer.unit.name} has a CPUWeight of its own ({weight}), which somebody has decided on")
    service: dict[str, Any] = {"host": e.host, "unit": consumer.unit.name, "group": e.group}
    back = Undo(action=RestoreUnitWeight(**service, was=DEMOTED, to=None), when="recovered", by=hours(1))
    length, steady = seconds(e.recheck), seconds(min(30.0, e.recheck / 4))
    return Plan(steps=(
        Tell(check="is_repeated", reason="saturated again and again"),
        Look(fields=("proc_stat", "top_cpu")),
        Look(fields=("inventory", "optout", "safe_label", "vmstat")),
        DEMOTE(**service, to=DEMOTED, undo=back),
        Await(check="recovered", within=length, every=seconds(10), steady=steady, otherwise="go_on"),
        EndIf(check="recovered", end="verify"),
        RESTART(**service),
    ))  # fmt: skip


def for_memory(e: CpuEvidence) -> Plan:
    reason = f"the load comes of memory ({e.vmstat}): {story.FIXES['memory_driven']}"
    return Plan(end=HandOver(signal="memory_pressure", reason=reason))


def for_people(e: CpuEvidence) -> Plan:
    return left(story.heaviest(e))


def left(reason: str) -> Plan:
    return Plan(end="escalate", reason=reason)


def ignored(_e: CpuEvidence) -> Plan:
    return Plan(reason="a spike: not every sample was over the threshold")


def as_root(_options: Mapping[str, Any], units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo, for these services."""
    return [*weights(units, DEMOTED, None), *restarts(units)]


RUNBOOK = Runbook(
    name="cpu_saturation",
    title="Sustained CPU saturation on a host",
    category="linux",
    summary="When a host stays CPU bound, demotes an opted-in heavy service first and restarts it only if the load "
    "does not come down.",
    signals=(OnSignal("cpu_saturation", threshold="> 85% for 90 continuous seconds", severity=Severity.WARNING),),
    target=TargetKind.HOST,
    target_key="host",
    evidence=CpuEvidence,
    well=not_(CpuEvidence.saturated),
    guards=ON_A_HOST,
    moves=(DEMOTE, RESTART),
    checks={"recovered": ("cpu_now",), "is_repeated": ()},
    rules=(
        Rule("spike", 0.75, "audit_only", when=not_(CpuEvidence.saturated), then=ignored, says=story.use),
        Rule("memory_driven", 0.75, "escalate", when=CpuEvidence.swaps, then=for_memory, says=story.pressure),
        Rule("stolen_by_the_hypervisor", 0.75, "escalate", when=CpuEvidence.is_stolen, then=for_people, says=story.use),
        Rule("opted_in_consumer", 0.75, "act", when=CpuEvidence.has_a_consumer, then=demote_then_restart,
             says=story.heaviest),
        Rule("pod_consumer", 0.75, "escalate", when=CpuEvidence.is_a_pods, then=for_people, says=story.heaviest),
        Rule("no_opted_in_consumer", 0.75, "escalate", when=not_(CpuEvidence.has_a_consumer), then=for_people,
             says=story.heaviest),
    ),
    otherwise=Otherwise("unknown"),
    permissions={
        "host": ("log in as an ordinary user; read /proc, /etc/byteport/host.yaml and the files of system services",),
        "sudo": ("systemctl set-property --runtime -- UNIT CPUWeight=20, and CPUWeight= to take it back",
                 "systemctl try-restart --no-block -- UNIT, both for opted-in services only"),
    },
    as_root=as_root,
    options=(
        Option("cpu_threshold_pct", 85, "percent busy, in every sample, that saturates", least=50, most=99),
        Option("cpu_sustain_sec", 90, "seconds that it must last", least=10, most=100),
        Option("cpu_recover_pct", 80, "percent busy below which it has recovered", least=10, most=95),
        Option("recheck_sec", 120, "seconds between demotion and restart", least=10, most=600),
    ),
    verify=(
        Check("CPU < 80%", CpuEvidence.recovered, ("cpu_now",), within=minutes(2), every=seconds(15),
              steady=seconds(30)),
    ),
    escalate=Escalation(
        channels=("postmark", "github_issue"), once_per=hours(1), per=("host",), on_duplicate="comment",
        anew=story.anew, content=story.CONTENT, summary=story.summary, bundle=story.bundle, manual=story.commands,
        fix=story.permanent_fix,
    ),
    proven_on=("systemd 252", "busybox 1.35"),
)  # fmt: skip
