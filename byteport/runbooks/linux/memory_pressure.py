"""A host runs out of memory: the service that has been eating it for an hour is restarted, if its people allow that.

Used is what cannot be had any more (MemAvailable); a page cache, however large, can be had, and alone ends the run.
Leaking is who grew most, by 20 % and 200 MiB in an hour, by what Prometheus or BytePort itself remembers; the largest
process of a database's host is the database. Where that cannot be told, nothing is restarted. oom_score_adj is left
alone: lowering it frees nothing, and makes the kernel kill somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from byteport.actions.units import RestartUnit
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Requires
from byteport.grammar.plan import Await, Look, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of, not_
from byteport.model.privileged import OPEN_FILES, restarts
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.linux import memory_pressure_story as story
from byteport.runbooks.linux.host_evidence import host_opt_in
from byteport.runbooks.linux.memory_guards import HOST_COOLDOWN, SERVICE_RESTARTS, AuditFirst, InTime, crash_loop
from byteport.runbooks.linux.memory_pressure_evidence import MUST_ACT, MemoryEvidence
from byteport.runbooks.linux.unit_guards import UnitGuard, deny_list, restart_label

LOOKED_AT_AGAIN = ("audit", "inventory", "safe_label")


def still_leaks(unit: str, facts: Facts) -> str:
    """It is that service which grew most, still."""
    evidence = facts.evidence
    assert isinstance(evidence, MemoryEvidence)  # noqa: S101 - the page's own
    leak = evidence.leak
    return "" if leak is not None and leak.consumer.unit == unit else f"{unit} is not who grew most, or did not leak"


RESTART = Move("restart", RestartUnit, (
    deny_list(),
    restart_label(),
    Requires(name="exhausted", condition=MUST_ACT, reads=("proc_meminfo", "pressure_stall"), until_begun=True,
             value="> 95 % used, or > mem_threshold_pct and PSI some avg60 > 10 where it is counted"),
    UnitGuard(name="leaking", why_not=still_leaks, reads=("top_rss", "history"), until_begun=True,
              value="largest grower of the hour, by 20 % and 200 MiB"),
    AuditFirst(name="pre_restart_audit"),
    InTime(name="recovery_timeout", within=minutes(2)),
    crash_loop(),
    SERVICE_RESTARTS,
    HOST_COOLDOWN,
))  # fmt: skip


def restart(e: MemoryEvidence) -> Plan:
    """One service, once it has lasted for as long as it must."""
    leak = e.leak
    if leak is None:
        return left("nobody leaks any more")
    unit = leak.consumer.unit
    if not unit:
        return left(f"{leak}, and it is no service of the system's", withheld=True)
    if why := e.keeps(unit):
        return left(f"{leak}, and is left alone: {why}", withheld=True)
    lasts = seconds(float(e.options["mem_sustain_sec"]))
    return Plan(steps=(
        Await(check="is_exhausted", within=lasts + minutes(1), every=seconds(10), steady=lasts),
        Look(fields=LOOKED_AT_AGAIN),
        RESTART(host=e.host, unit=unit, group=e.group),
        Look(fields=("audit",)),
    ))  # fmt: skip


def nothing_to_do(e: MemoryEvidence) -> Plan:
    return Plan(reason=story.use(e))


def for_people(e: MemoryEvidence) -> Plan:
    return left(story.nobody(e))


def left(reason: str, *, withheld: bool = False) -> Plan:
    return Plan(end="escalate", reason=reason, withheld=withheld)


def as_root(_options: Mapping[str, Any], units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo, for these services."""
    return [*restarts(units), OPEN_FILES]


RUNBOOK = Runbook(
    name="memory_pressure",
    title="Host memory saturation",
    category="linux",
    summary="Tells reclaimable page cache from real exhaustion on a host and restarts the opted-in process that is "
    "eating the memory.",
    signals=(OnSignal("memory_pressure", threshold="> 90% for 90 seconds", severity=Severity.CRITICAL),),
    target=TargetKind.HOST,
    target_key="host",
    evidence=MemoryEvidence,
    well=not_(MemoryEvidence.is_exhausted),
    guards=(host_opt_in("memory"),),
    moves=(RESTART,),
    checks={"is_exhausted": ("proc_meminfo",)},
    rules=(
        Rule("not_exhausted", 0.75, "audit_only", when=not_(MemoryEvidence.is_exhausted), then=nothing_to_do,
             says=story.use),
        Rule("tight_without_stalls", 0.75, "escalate", when=not_(MUST_ACT), then=for_people, says=story.stalls),
        Rule("leaking_service", 0.75, "act", when=all_of(MUST_ACT, MemoryEvidence.somebody_leaks), then=restart,
             says=story.grown),
    ),
    otherwise=Otherwise("no_leak_known", then=for_people),
    permissions={
        "host": ("log in as an ordinary user; read /proc, /sys/fs/cgroup, /etc/byteport/host.yaml and unit files",),
        "sudo": ("systemctl try-restart --no-block -- UNIT, for opted-in services only",
                 "find /proc … -path /proc/[0-9]*/fd/*: open files and sockets of everybody's processes (optional)"),
    },
    as_root=as_root,
    options=(
        Option("mem_threshold_pct", 90, "percent of the memory used that exhausts it", least=90, most=99),
        Option("mem_sustain_sec", 90, "seconds that it must last", least=90, most=900),
        Option("mem_recover_pct", 85, "percent used below which it has recovered", least=10, most=85),
        Option("historyQuery", "", "PromQL for bytes by service with {host} in it; not given: BytePort's own looks"),
    ),
    verify=(
        Check("memory < 85% 30s after restart", MemoryEvidence.has_recovered, ("proc_meminfo", "top_rss"),
              after=seconds(30), within=minutes(2), every=seconds(15)),
    ),
    escalate=Escalation(
        channels=("postmark", "github_issue"), once_per=hours(24), per=("host", "process"), on_duplicate="comment",
        anew=story.anew, content=story.CONTENT, summary=story.summary, bundle=story.bundle, manual=story.commands,
        fix=story.permanent_fix,
    ),
    cooldown=minutes(5),
    proven_on=("systemd 252", "cgroup v1", "busybox 1.35"),
)  # fmt: skip
