"""What pages about full disks ask a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from byteport.grammar.evidence import Probe, probe, probe_with_options
from byteport.model.facts.disks import (
    Consumers,
    ContainerUse,
    FileSystem,
    FoundFiles,
    JournalUse,
    Trend,
    Volume,
)
from byteport.model.root_commands import What
from byteport.model.target import Target
from byteport.model.units import seconds
from byteport.ports import Readers
from byteport.probes.hosts import host_of


def mount_of(target: Target) -> str:
    """The mount that is told of; a host alone is its root."""
    return target.coordinates.get("mount") or "/"


def _file_system(target: Target, readers: Readers) -> FileSystem:
    return readers.disks.file_system(host_of(target), mount_of(target))


@probe(over="host", timeout=seconds(12))
def disk_usage(target: Target, readers: Readers) -> FileSystem:
    """Use of the mount in alarm, by statvfs."""
    return _file_system(target, readers)


@probe(over="host", timeout=seconds(12))
def mount_usage(target: Target, readers: Readers) -> FileSystem:
    """Use of the mount in alarm, by statvfs."""
    return _file_system(target, readers)


@probe(over="host", timeout=seconds(12))
def inode_usage(target: Target, readers: Readers) -> FileSystem:
    """Inodes of the mount in alarm, by statvfs."""
    return _file_system(target, readers)


@probe(over="host", timeout=seconds(15))
def trend(target: Target, readers: Readers) -> Trend:
    """How fast it fills: by the metrics of the last five minutes, else by two looks."""
    host, mount = host_of(target), mount_of(target)
    told = readers.metrics.filling(host, mount)
    if told is None:
        return readers.disks.trend(host, mount)
    return Trend(bytes_per_second=told, seconds=300, source="node_exporter")


@probe(over="host", timeout=seconds(60))
def top_consumers(target: Target, readers: Readers) -> Consumers:
    """What is large below the known roots, and deleted files that are still open."""
    return readers.disks.consumers(host_of(target))


@probe(over="host", timeout=seconds(60))
def top_dirs(target: Target, readers: Readers) -> Consumers:
    """What is large below the known roots, and deleted files that are still open."""
    return readers.disks.consumers(host_of(target))


@probe(over="host", timeout=seconds(12))
def journal_usage(target: Target, readers: Readers) -> JournalUse:
    """How much the journal takes."""
    return readers.disks.journal(host_of(target))


@probe_with_options(over="host", timeout=seconds(30))
def docker_usage(target: Target, readers: Readers, options: Mapping[str, Any]) -> ContainerUse | None:
    """What docker keeps; it is not asked where its clean-up is not enabled."""
    if options.get("containerCleanupEnabled") is not True:
        return None
    return readers.disks.containers(host_of(target))


@probe_with_options(over="host", timeout=seconds(25))
def cloud_volume(target: Target, readers: Readers, options: Mapping[str, Any]) -> Volume:
    """The cloud's disk under the mount; not asked for where it may not grow."""
    if options.get("policy.allowVolumeGrow") is not True:
        return Volume(why="growing a volume is not allowed: policy.allowVolumeGrow")
    return readers.volumes.volume(host_of(target), mount_of(target))


def sweep(name: str, what: What, root: str, minutes: int | Callable[[Mapping[str, Any]], int]) -> Probe[FoundFiles]:
    """A probe that lists what a sweep would touch; where the root lies on another file system it is not searched."""

    def ask(target: Target, readers: Readers, options: Mapping[str, Any]) -> FoundFiles:
        if not _file_system(target, readers).holds(root):
            return FoundFiles(unread=f"{root} is not on the file system in alarm")
        age = minutes(options) if callable(minutes) else minutes
        return readers.disks.found(host_of(target), what, root, age)

    return Probe(name, "host", ask, seconds(30), f"Files below {root} that may go")
