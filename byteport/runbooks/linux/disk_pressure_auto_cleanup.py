"""A disk fills: clean up in a fixed order, look after each step, and stop as soon as there is room again.

Every file that is removed or compressed is listed first and judged again at the host: not open, not on the safe list,
not younger than its age says by any of its times, on the file system in alarm, and never through a link. What deleted
files keep is named, since no clean-up frees it. Containers, images and package caches go only where that is enabled;
volumes never.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from byteport.actions.disks import CleanUp, CompressFiles, RemoveFiles
from byteport.grammar.guards import Cooldown, Enabled
from byteport.grammar.plan import Do, Plan
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of
from byteport.grammar.verdict import OnHit
from byteport.model.facts.disks import Consumers, FileSystem, FoundFiles
from byteport.model.root_commands import vacuum_journal
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.probes import disks
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux import disk_story as story
from byteport.runbooks.linux.disk_evidence import DiskEvidence
from byteport.runbooks.linux.host_evidence import host_opt_in

LOG_DAYS, TMP_HOURS, WEEK = "logRotationAgeDays", "tmpMaxAgeHours", 7 * 24


def log_age(options: Mapping[str, Any]) -> int:
    return int(options.get(LOG_DAYS, 7)) * 24 * 60


def tmp_age(options: Mapping[str, Any]) -> int:
    return int(options.get(TMP_HOURS, 24)) * 60


def var_tmp_age(options: Mapping[str, Any]) -> int:
    """What is in /var/tmp must survive a restart of the host: a week at the least."""
    return max(WEEK, int(options.get(TMP_HOURS, 24))) * 60


class CleanupEvidence(DiskEvidence):
    """What we look at; how it is read stands in DiskEvidence."""

    SYSTEM = "mount_usage"

    mount_usage: Annotated[FileSystem, disks.mount_usage]
    top_consumers: Annotated[Consumers, disks.top_consumers]
    old_logs: Annotated[FoundFiles, disks.sweep("old_logs", "aged", "/var/log", log_age)]
    tmp_files: Annotated[FoundFiles, disks.sweep("tmp_files", "tmp", "/tmp", tmp_age)]  # noqa: S108
    var_tmp_files: Annotated[FoundFiles, disks.sweep("var_tmp_files", "tmp", "/var/tmp", var_tmp_age)]  # noqa: S108


def came_again(e: DiskEvidence) -> OnHit:
    """Within the 24 h nothing is cleaned again; how full it is by now says whether people hear of that."""
    return "page" if e.used >= 95 else "escalate" if e.used >= 90 else "end"


GUARDS = (
    host_opt_in("disk"),
    steps.stop_on_floor("mount_usage"),
    Cooldown(name="host_cooldown_24h", per=hours(24), counter="host_disk_cleanup", cycle=True, on_hit="end",
             hits=came_again, reads=("mount_usage",), scope_name="per host and mount"),
)  # fmt: skip
ROTATE = Move("rotate_logs", CompressFiles, (steps.safe_list(),))
VACUUM = Move("journal_vacuum", CleanUp, (GUARDS[0],))
SWEEP = Move("tmp_sweep", RemoveFiles, (steps.safe_list(),))
PRUNE = Move("docker_prune", CleanUp, (Enabled(name="docker_opt_in", switch="dockerPruneEnabled", on_hit="skip"),))
CACHE = Move("package_cache", CleanUp,
             (Enabled(name="package_opt_in", switch="packageCachePruneEnabled", on_hit="skip"),))  # fmt: skip


def clean_up(e: CleanupEvidence) -> Plan:
    """All steps in order; it stops at the floor."""
    return Plan(
        steps=steps.in_order(in_this_order(e), "mount_usage"), end="escalate",
        reason=f"{e.floor:g} % is not reached after every step",
    )  # fmt: skip


def in_this_order(e: CleanupEvidence) -> Iterable[Do]:
    yield from steps.sweep(e, ROTATE, "old_logs", "aged", "/var/log", log_age(e.options))
    yield from steps.clean_up(e, VACUUM, "journal_vacuum", "/var/log/journal", vacuumed(e.options))
    yield from steps.sweep(e, SWEEP, "tmp_files", "tmp", "/tmp", tmp_age(e.options))  # noqa: S108
    yield from steps.sweep(e, SWEEP, "var_tmp_files", "tmp", "/var/tmp", var_tmp_age(e.options))  # noqa: S108
    if e.options.get("dockerPruneEnabled") is True and not e.fs.kubernetes:
        yield from steps.clean_up(e, PRUNE, "docker_prune", "/var/lib/docker", steps.PRUNE)
    if e.options.get("packageCachePruneEnabled") is True:
        for at, command in steps.caches(e):
            yield from steps.clean_up(e, CACHE, "package_cache", at, (command,))


def vacuumed(options: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    return vacuum_journal(f"size={options.get('journalVacuumSize', '200M')}")


def as_root(options: Mapping[str, Any], _units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo."""
    yield from steps.looking()
    yield from steps.sweeping(
        ("aged", "/var/log", log_age(options)), ("tmp", "/tmp", tmp_age(options)),  # noqa: S108
        ("tmp", "/var/tmp", var_tmp_age(options)),  # noqa: S108
    )  # fmt: skip
    yield from vacuumed(options)
    if options.get("dockerPruneEnabled") is True:
        yield from steps.PRUNE
    if options.get("packageCachePruneEnabled") is True:
        yield from steps.cache_commands()


RUNBOOK = Runbook(
    name="disk_pressure_auto_cleanup",
    title="Ordered disk cleanup with stop-on-floor",
    category="linux",
    summary="Compresses old logs, vacuums the journal, sweeps temporary files and, where enabled, prunes containers "
    "and package caches, one step at a time, and stops as soon as use is under the floor.",
    signals=(OnSignal("disk_pressure", threshold="85 % used", severity=Severity.CRITICAL),),
    target=TargetKind.HOST,
    target_key="host + mount",
    evidence=CleanupEvidence,
    well=CleanupEvidence.is_well,
    checks={"under_floor": ("mount_usage",), "fills_up": ("mount_usage",)},
    guards=GUARDS,
    moves=(ROTATE, VACUUM, SWEEP, PRUNE, CACHE),
    rules=(
        Rule("not_full", 0.90, "audit_only", when=CleanupEvidence.is_well, then=lambda _e: Plan(
            reason="the mount is not fuller than its threshold")),
        Rule("disk_pressure", 0.90, "act", when=all_of(CleanupEvidence.over_threshold, CleanupEvidence.can_be_cleaned),
             then=clean_up, says=story.use),
    ),
    otherwise=Otherwise("cannot_be_cleaned"),
    permissions={"host": ("log in as an ordinary user who lingers", *story.AS_ROOT)},
    as_root=as_root,
    options=(
        Option("freeSpaceFloorPct", 80, "used-percent to get below", least=50, most=84),
        Option(LOG_DAYS, 7, "age in days of logs to compress", least=1, most=365),
        Option("journalVacuumSize", "200M", "journal cap, as journalctl takes it (K, M, G)"),
        Option(TMP_HOURS, 24, "age in hours of temporary files to remove", least=1, most=8760),
        Option("dockerPruneEnabled", False, "allow docker container prune (24 h) and image prune (dangling)"),
        Option("packageCachePruneEnabled", False, "allow apt-get clean, dnf or yum clean all"),
    ),
    verify=(
        Check("used < freeSpaceFloorPct", CleanupEvidence.under_floor, ("mount_usage",), within=minutes(2),
              every=seconds(30)),
    ),
    critical=CleanupEvidence.nearly_full,
    escalate=Escalation(
        channels=("postmark", "github_issue"), once_per=hours(24), per=("host", "mount"), on_duplicate="comment",
        content=story.CLEANUP, summary=story.summary, bundle=story.cleanup, manual=story.commands,
        fix=story.permanent_fix,
    ),
    proven_on=("ext4", "xfs", "systemd 252"),
)  # fmt: skip
