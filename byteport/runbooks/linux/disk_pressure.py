"""A disk passes its threshold: a short fixed clean-up of journal, old compressed logs, unused containers and stale
temporary files, and a person where that does not bring it under 80 %.

A step that fails is written down, and the next one is tried. A journal is not cut below 200 MB, since an incident needs
what stands there; containers go only where that is enabled, never on a Kubernetes node, volumes never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from byteport.actions.disks import CleanUp, RemoveFiles
from byteport.grammar.guards import Cooldown, Enabled
from byteport.grammar.plan import Do, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of
from byteport.model.facts.disks import Consumers, FileSystem, FoundFiles, Trend
from byteport.model.root_commands import vacuum_journal
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.probes import disks
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux import disk_story as story
from byteport.runbooks.linux.disk_evidence import DiskEvidence
from byteport.runbooks.linux.host_evidence import host_opt_in

LOG_AGE, TMP_AGE = 7 * 24 * 60, 48 * 60
TMP = "/tmp"  # noqa: S108
JOURNAL = tuple(vacuum_journal("size=200M"))


class PressureEvidence(DiskEvidence):
    """What we look at; how it is read stands in DiskEvidence."""

    disk_usage: Annotated[FileSystem, disks.disk_usage]
    trend: Annotated[Trend, disks.trend]
    top_consumers: Annotated[Consumers, disks.top_consumers]
    compressed_logs: Annotated[FoundFiles, disks.sweep("compressed_logs", "rotated", "/var/log", LOG_AGE)]
    tmp_files: Annotated[FoundFiles, disks.sweep("tmp_files", "tmp", TMP, TMP_AGE)]

    @property
    def threshold(self) -> float:
        return float(self.options.get("warn_pct", 85))

    @property
    def floor(self) -> float:
        return float(self.options.get("target_pct", 80))

    def is_critical(self) -> bool:
        """It is fuller than the critical threshold."""
        return self.used > float(self.options.get("critical_pct", 95))


GUARDS = (
    host_opt_in("disk"),
    Cooldown(name="host_cooldown", per=minutes(5), counter="host_cooldown", cycle=True, on_hit="end",
             scope=steps.host_of, scope_name="per host"),
)  # fmt: skip
PROTECTED = steps.safe_list("protected_logs")
VACUUM = Move("journal_vacuum", CleanUp, (steps.ON_IT,))
LOGS = Move("remove_old_logs", RemoveFiles, (steps.ON_IT, PROTECTED))
PRUNE = Move("docker_prune", CleanUp, (Enabled(name="docker_opt_in", switch="dockerPruneEnabled", on_hit="skip"),))
SWEEP = Move("tmp_sweep", RemoveFiles, (steps.ON_IT, PROTECTED))


def clean_up(e: PressureEvidence) -> Plan:
    """All steps in order, until use is under the target."""
    return Plan(steps=steps.in_order(in_this_order(e), "disk_usage"), end="escalate",
                reason=f"{e.floor:g} % is not reached after the last step")  # fmt: skip


def in_this_order(e: PressureEvidence) -> Iterable[Do]:
    yield from steps.clean_up(e, VACUUM, "journal_vacuum", "/var/log/journal", JOURNAL)
    yield from steps.sweep(e, LOGS, "compressed_logs", "rotated", "/var/log", LOG_AGE)
    if e.options.get("dockerPruneEnabled") is True and not e.fs.kubernetes:
        yield from steps.clean_up(e, PRUNE, "docker_prune", "/var/lib/docker", pruned(e.options))
    yield from steps.sweep(e, SWEEP, "tmp_files", "tmp", TMP, TMP_AGE)


def pruned(options: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    """Unused images go only by a second word; those of the last three days stay in any case."""
    return steps.PRUNE_ALL if options.get("dockerPruneAllImages") is True else steps.PRUNE


def as_root(options: Mapping[str, Any], _units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo."""
    yield from steps.looking()
    yield from steps.sweeping(("rotated", "/var/log", LOG_AGE), ("tmp", TMP, TMP_AGE))
    yield from JOURNAL
    if options.get("dockerPruneEnabled") is True:
        yield from pruned(options)


RUNBOOK = Runbook(
    name="disk_pressure",
    title="Basic disk pressure cleanup",
    category="linux",
    summary="Runs a short fixed cleanup of journal, old compressed logs, unused container data and stale temporary "
    "files when a host's disk passes a threshold.",
    signals=(OnSignal("disk_pressure", threshold="over 85 % used; critical over 95 %", severity=Severity.WARNING),),
    target=TargetKind.HOST,
    target_key="host + mount",
    evidence=PressureEvidence,
    well=PressureEvidence.is_well,
    checks={"under_floor": ("disk_usage",), "fills_up": ("disk_usage",)},
    guards=GUARDS,
    moves=(VACUUM, LOGS, PRUNE, SWEEP),
    rules=(
        Rule("not_full", 0.90, "audit_only", when=PressureEvidence.is_well, then=lambda _: Plan(
            reason="the mount is not fuller than its threshold")),
        Rule("disk_pressure", 0.90, "act", then=clean_up, says=story.use,
             when=all_of(PressureEvidence.over_threshold, PressureEvidence.can_be_cleaned)),
    ),
    otherwise=Otherwise("cannot_be_cleaned"),
    permissions={"host": ("log in as an ordinary user who lingers", *story.AS_ROOT)},
    as_root=as_root,
    options=(
        Option("warn_pct", 85, "warning threshold, in percent used", least=50, most=98),
        Option("critical_pct", 95, "critical threshold", least=51, most=99),
        Option("target_pct", 80, "level to get below", least=40, most=97),
        Option("dockerPruneEnabled", False, "allow docker container prune (24 h) and image prune (dangling)"),
        Option("dockerPruneAllImages", False, "with dockerPruneEnabled: also images that nothing has used for 72 h"),
    ),
    verify=(
        Check("used < 80%", PressureEvidence.under_floor, ("disk_usage",), within=minutes(2), every=seconds(30)),
    ),
    critical=PressureEvidence.is_critical,
    escalate=Escalation(
        channels=("github_issue", "postmark"), once_per=hours(24), per=("host", "mount"), on_duplicate="comment",
        content=story.PRESSURE, summary=story.pressure_summary, bundle=story.pressure, manual=story.commands,
        fix=story.permanent_fix,
    ),
    proven_on=("ext4", "systemd 252"),
)  # fmt: skip
