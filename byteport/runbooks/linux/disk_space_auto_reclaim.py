"""A file system is full, of bytes or of inodes: free space in a fixed order of ever more expensive steps, look after
each, and stop as soon as what ran out is under the floor. A cloud's volume grows only where its operator allowed it.

"Used" is meant wherever a percentage stands, in spite of the name of `freeSpaceFloorPct`. Nothing is compressed where
inodes ran out. Between the floor and the level of escalation nobody is woken: it ends partially resolved, is looked at
again after an hour with nothing held until then, and is told of if it has not fallen. Volumes of containers are data:
they are listed, and never removed. Images of a Kubernetes node are its kubelet's: a person is told to lower its
threshold, since `crictl` has no package on what this was proven on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from byteport.actions.disks import CleanUp, CompressFiles, RemoveFiles
from byteport.actions.volumes import GrowVolume
from byteport.grammar.guards import Budget, Ceiling, Cooldown, Enabled
from byteport.grammar.plan import Do, EndIf, Plan
from byteport.grammar.runbook import Check, Escalation, LookAgain, Move, OnSignal, Option, Otherwise, Rule, Runbook
from byteport.grammar.truth import all_of
from byteport.model.root_commands import CONTAINER_USE, JOURNAL_USAGE, grow_file_system, rotate_logs, vacuum_journal
from byteport.model.signal import Severity
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux import disk_story as story
from byteport.runbooks.linux import reclaim_containers as containers
from byteport.runbooks.linux import reclaim_growth as growth
from byteport.runbooks.linux import reclaim_story
from byteport.runbooks.linux.host_evidence import host_opt_in
from byteport.runbooks.linux.reclaim_evidence import AGES, TMP, VAR_TMP, ReclaimEvidence

JOURNAL = tuple(vacuum_journal("time=7d"))
OPT_IN = host_opt_in("disk")
GUARDS = (
    OPT_IN,
    steps.stop_on_floor("disk_usage"),
    Cooldown(name="host_cooldown", per=minutes(5), counter="host_cooldown", cycle=True, on_hit="end",
             scope=steps.host_of, scope_name="per host"),
)  # fmt: skip
FORCE = Move("rotate_logs", CleanUp, (
    steps.ON_IT,
    Cooldown(name="forced_rotation", per=hours(24), scope=steps.host_of, scope_name="per host", on_hit="skip"),
))  # fmt: skip
ROTATE = Move("rotate_due_logs", CleanUp, (steps.ON_IT,))
COMPRESS = Move("compress_logs", CompressFiles, (steps.ON_IT, steps.safe_list()))
VACUUM = Move("journal_vacuum", CleanUp, (steps.ON_IT,))
CONTAINERS = Move("containers", CleanUp, (
    steps.ON_IT, Enabled(name="container_cleanup_opt_in", switch="containerCleanupEnabled", on_hit="skip"),
))  # fmt: skip
SWEEP = Move("caches", RemoveFiles, (steps.ON_IT, steps.safe_list()))
PACKAGES = Move("package_caches", CleanUp, (
    steps.ON_IT, Enabled(name="package_cache_opt_in", switch="packageCachePruneEnabled", on_hit="skip"),
))  # fmt: skip
ALLOWED = Enabled(name="volume_opt_in", switch="policy.allowVolumeGrow", on_hit="skip")
GROW = Move("grow_volume", GrowVolume, (
    ALLOWED,
    Ceiling(name="volume_ceiling", field="to", at_most=growth.ceiling, value="policy.maxVolumeGb = 500", on_hit="skip",
            reads=("cloud_volume",)),
    Budget(name="volume_growth", limit=1, per=hours(24), counter="volume_growth", by_amount=False,
           scope_name="per volume"),
))  # fmt: skip
EXTEND = Move("extend_file_system", CleanUp, (ALLOWED, growth.OnlyAfter(name="volume_grown", move="grow_volume")))


def reclaim(e: ReclaimEvidence) -> Plan:
    """All steps in order; between floor and escalation it ends without waking anybody."""
    return Plan(
        steps=(*steps.in_order(in_this_order(e), "disk_usage"), EndIf(check="at_most_escalate_above", end="partial")),
        end="escalate", reason=f"over {e.escalate_above:g} % after every step",
    )  # fmt: skip


def in_this_order(e: ReclaimEvidence) -> Iterable[Do]:
    log, options = "/var/log", e.options
    yield from steps.clean_up(e, FORCE, "logrotate, forced", log, (rotate_logs("force"),))
    yield from steps.clean_up(e, ROTATE, "logrotate", log, (rotate_logs("due"),))
    if e.metric == "bytes":
        yield from steps.sweep(e, COMPRESS, "big_logs", "big", log, AGES["big_logs"], newest_first=True)
    yield from steps.clean_up(e, VACUUM, "journal_vacuum", "/var/log/journal", JOURNAL)
    if options.get("containerCleanupEnabled") is True:
        yield from containers.clean_up(e, CONTAINERS)
    yield from steps.sweep(e, SWEEP, "tmp_files", "tmp", TMP, AGES["tmp_files"])
    yield from steps.sweep(e, SWEEP, "var_tmp_files", "tmp", VAR_TMP, AGES["var_tmp_files"])
    if options.get("packageCachePruneEnabled") is True:
        for at, command in steps.caches(e, options.get("packageCaches") or ()):
            yield from steps.clean_up(e, PACKAGES, "package_caches", at, (command,))
    yield from growth.grow(e, GROW, EXTEND)


def as_root(options: Mapping[str, Any], _units: Sequence[str]) -> Iterable[Sequence[str]]:
    """All that it runs by sudo."""
    yield from steps.looking()
    yield JOURNAL_USAGE
    yield from (rotate_logs("force"), rotate_logs("due"), *JOURNAL)
    yield from steps.sweeping(
        ("big", "/var/log", AGES["big_logs"]), ("tmp", TMP, AGES["tmp_files"]), ("tmp", VAR_TMP, AGES["var_tmp_files"])
    )
    if options.get("containerCleanupEnabled") is True:
        yield CONTAINER_USE
        yield from containers.as_root()
    if options.get("packageCachePruneEnabled") is True:
        yield from steps.cache_commands(options.get("packageCaches") or ())
    if options.get("policy.allowVolumeGrow") is True:
        yield from (grow_file_system(str(mount)) for mount in options.get("policy.growMounts") or ())


RUNBOOK = Runbook(
    name="disk_space_auto_reclaim",
    title="Disk reclaim with optional cloud volume growth",
    category="linux",
    summary="Frees space on a full filesystem in a fixed order of ever more expensive steps, re-measuring after each, "
    "and may enlarge a cloud volume if the operator allowed it.",
    signals=(
        OnSignal("disk_pressure", threshold="90 % used", severity=Severity.CRITICAL),
        OnSignal("inode_exhaustion", threshold="90 % of inodes used", severity=Severity.CRITICAL),
        OnSignal("volume_full", threshold="97 % used", severity=Severity.CRITICAL),
        OnSignal("disk_almost_full", threshold="85 % used", severity=Severity.WARNING),
    ),
    target=TargetKind.HOST,
    target_key="host + mount",
    evidence=ReclaimEvidence,
    well=ReclaimEvidence.is_well,
    checks=dict.fromkeys(("under_floor", "fills_up", "at_most_escalate_above"), ("disk_usage",)),
    guards=GUARDS,
    moves=(FORCE, ROTATE, COMPRESS, VACUUM, CONTAINERS, SWEEP, PACKAGES, GROW, EXTEND),
    rules=(
        Rule("not_full", 0.90, "audit_only", when=ReclaimEvidence.is_well, then=lambda _: Plan(
            reason="neither bytes nor inodes of the mount are over their thresholds")),
        Rule("bytes_ran_out", 0.90, "act", then=reclaim, says=story.use,
             when=all_of(ReclaimEvidence.bytes_ran_out, ReclaimEvidence.can_be_cleaned)),
        Rule("inodes_ran_out", 0.90, "act", then=reclaim, says=story.use,
             when=all_of(ReclaimEvidence.inodes_ran_out, ReclaimEvidence.can_be_cleaned)),
    ),
    otherwise=Otherwise("cannot_be_cleaned"),
    permissions={
        "host": ("log in as an ordinary user who lingers", *story.AS_ROOT),
        "aws": ("only with policy.allowVolumeGrow; to look: ec2:DescribeVolumes, ec2:DescribeVolumesModifications",
                "only with policy.allowVolumeGrow; to act, besides: ec2:ModifyVolume"),
        "gcp": ("only with policy.allowVolumeGrow; to look: compute.instances.get, compute.disks.get",
                "only with policy.allowVolumeGrow; to act, besides: compute.disks.resize, compute.zoneOperations.get",
                "only with policy.allowVolumeGrow; to act on regional disks, besides: compute.regionOperations.get"),
    },
    as_root=as_root,
    options=(
        Option("freeSpaceFloorPct", 80, "used-percent below which the run stops", least=50, most=97),
        Option("escalateAbovePct", 85, "used-percent above which the run escalates; over the floor", least=51, most=98),
        Option("isK8sNode", False, "leave containers to the kubelet, as on a node that is found to be one"),
        Option("containerCleanupEnabled", False, "allow docker's stopped containers and unused images (72 h) to go"),
        Option("packageCachePruneEnabled", False, "allow the package caches of packageCaches to be emptied"),
        Option("packageCaches", list(steps.SYSTEM_CACHES), "which: apt, dnf, yum; root's own of pip and npm too"),
        Option("policy.allowVolumeGrow", False, "permit volume growth"),
        Option("policy.maxVolumeGb", 500, "ceiling of a grown volume in GB", least=1, most=65_536),
        Option("policy.growMounts", [], "mounts whose file system sudo may extend"),
    ),
    verify=(
        Check("used < 80%", ReclaimEvidence.under_floor, ("disk_usage",), within=minutes(2), every=seconds(30)),
        Check("not over escalateAbovePct", ReclaimEvidence.at_most_escalate_above, ("disk_usage",), within=minutes(2),
              every=seconds(30)),
    ),
    look_again=LookAgain(
        after=minutes(60), check="under_floor", enough="at_most_escalate_above",
        reason="60 min after all steps the floor is not reached",
    ),
    critical=ReclaimEvidence.nearly_full,
    escalate=Escalation(
        channels=("postmark", "slack"), once_per=hours(24), per=("host", "mount"), on_duplicate="comment",
        content=reclaim_story.CONTENT, summary=reclaim_story.summary, bundle=reclaim_story.bundle,
        manual=story.commands, fix=story.permanent_fix,
    ),
    proven_on=("ext4", "systemd 252"),
)  # fmt: skip
