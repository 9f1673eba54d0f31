"""The clean-ups of the pages about full disks, as moves, and the steps that are made of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from byteport.actions.disks import CleanUp, CompressFiles, OnDisk, OnFiles, RemoveFiles
from byteport.errors import BadRunbook, NotKnown
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Guard, Members, Requires
from byteport.grammar.plan import Do, EndIf, Look, Step, Tell
from byteport.grammar.runbook import Move
from byteport.grammar.verdict import OnHit, Verdict
from byteport.model.facts.disks import FoundFile
from byteport.model.root_commands import What, deleted_files, largest_folders, sweep_commands
from byteport.runbooks.linux.disk_evidence import SAFE_LIST, DiskEvidence, why_kept

AT_MOST = {"bytes": 50 * 10**9, "removed": 500, "compressed": 100}
DAY = 24 * 60
DOCKER = "/usr/bin/docker"
PRUNE = (
    (DOCKER, "container", "prune", "--force", "--filter", "until=24h"),
    (DOCKER, "image", "prune", "--force"),
)
PRUNE_ALL = (PRUNE[0], (DOCKER, "image", "prune", "--force", "--all", "--filter", "until=72h"))
CACHES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "apt": ("/var/cache/apt", ("/usr/bin/apt-get", "clean")),
    "dnf": ("/var/cache/dnf", ("/usr/bin/dnf", "clean", "all")),
    "yum": ("/var/cache/yum", ("/usr/bin/yum", "clean", "all")),
    "pip": ("/root", ("/usr/bin/pip3", "cache", "purge")),
    "npm": ("/root", ("/usr/bin/npm", "cache", "clean", "--force")),
}
SYSTEM_CACHES = ("apt", "dnf", "yum")


@dataclass(frozen=True, kw_only=True)
class OnThisFileSystem(Guard):
    """The place that is cleaned lies on the file system in alarm; elsewhere it would only cost."""

    on_hit: OnHit = "skip"
    kind: ClassVar[str] = "precondition"

    def check(self, action: Action, facts: Facts) -> Verdict:
        """What has no place of its own was found on it by whoever planned it."""
        place = action.root if isinstance(action, OnFiles) else getattr(action, "place", "")
        try:
            there = _evidence(facts).fs.holds(place)
        except NotKnown as gap:
            return self.deny(f"cannot be told: {gap}", lifts=f"once {gap.field} answers ({gap.why})")
        if there:
            return self.allow(f"{place} is on it")
        return self.deny(f"{place} is not on the file system in alarm", lifts="")

    def listed(self) -> dict[str, Any]:
        return {**super().listed(), "value": "step's path is on the alarmed device", "scope": "per step"}


def _evidence(facts: Facts) -> DiskEvidence:
    if not isinstance(facts.evidence, DiskEvidence):
        raise BadRunbook("OnThisFileSystem", "stands on pages about disks")
    return facts.evidence


ON_IT = OnThisFileSystem(name="same_filesystem")


def host_of(action: Action) -> str:
    """What is counted for a host, whichever mount it is about."""
    return f"host:{action.host}" if isinstance(action, OnDisk) else action.subject


def safe_list(name: str = "safe_list") -> Members:
    """The guard: files that are never touched are left out of every batch."""

    def kept(file: FoundFile, _facts: Facts) -> str:
        return why_kept(file.path)

    return Members(
        name=name, members="files", forbidden=kept, as_kind="forbidden", on_hit="skip", scope_name="per file",
        value=f"{', '.join(SAFE_LIST)}, active access.log, error.log and auth.log",
    )  # fmt: skip


def stop_on_floor(reads: str) -> Requires:
    """The guard: nothing more is cleaned once the floor is reached."""
    return Requires(name="stop_on_floor", as_kind="abort", condition=DiskEvidence.over_floor, reads=(reads,),
                    value="used < 80%", on_hit="skip")  # fmt: skip


def place(e: DiskEvidence) -> dict[str, Any]:
    """Where a step is made."""
    return {"host": e.host, "group": e.target.coordinates.get("group", "default"), "mount": e.fs.mount}


def sweep(
    e: DiskEvidence, move: Move, field: str, what: What, root: str, minutes: int, *, newest_first: bool = False
) -> Iterable[Do]:
    """One step on what was found, bounded in number and bytes; none where there is nothing, or nothing could be
    listed. The largest first, unless the newest are."""
    found = e.list_of(field)
    listed = found.files if found is not None else ()
    if newest_first:
        listed = tuple(sorted(listed, key=lambda file: file.written_at, reverse=True))
    if issubclass(move.action, RemoveFiles):
        files = bounded(listed, AT_MOST["removed"])
    else:  # what is compressed stands there twice for a while
        files = bounded([one for one in listed if one.bytes < e.fs.bytes_available], AT_MOST["compressed"])
    if files:
        yield go_on(move(**place(e), what=what, root=root, minutes=minutes, files=files))


def bounded(files: Iterable[FoundFile], most: int) -> tuple[FoundFile, ...]:
    """The first of them, within both limits."""
    kept: list[FoundFile] = []
    room = AT_MOST["bytes"]
    for file in files:
        if len(kept) < most and file.bytes <= room:
            kept.append(file)
            room -= file.bytes
    return tuple(kept)


def clean_up(e: DiskEvidence, move: Move, what: str, at: str, commands: Iterable[tuple[str, ...]]) -> Iterable[Do]:
    """One step by the host's own tools, where what they clean lies on the file system in alarm."""
    if e.fs.holds(at):
        yield go_on(move(**place(e), what=what, place=at, commands=tuple(commands)))


def go_on(do: Do) -> Do:
    """A clean-up that fails is written down, and the next one is tried."""
    return do.with_(otherwise="go_on")


def in_order(dos: Iterable[Do], look: str) -> tuple[Step, ...]:
    """One after the other, the mount looked at after each; people are told where it fills meanwhile."""
    steps: list[Step] = []
    for do in dos:
        steps += [
            do,
            Look(fields=(look,)),
            EndIf(check="under_floor", end="verify"),
            Tell(check="fills_up", reason="the disk fills while it is cleaned"),
        ]
    return tuple(steps)


def caches(e: DiskEvidence, names: Iterable[str] = SYSTEM_CACHES) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Which of these caches lie on the file system in alarm, and what cleans them; pip's and npm's are root's own."""
    return [CACHES[name] for name in names if name in CACHES and e.fs.holds(CACHES[name][0])]


def cache_commands(names: Iterable[str] = SYSTEM_CACHES) -> list[tuple[str, ...]]:
    return [CACHES[name][1] for name in names if name in CACHES]


def looking() -> Iterable[tuple[str, ...]]:
    """What every page about disks runs as root only to look."""
    yield deleted_files()
    yield largest_folders()


def sweeping(*sweeps: tuple[What, str, int]) -> Iterable[tuple[str, ...]]:
    for what, root, minutes in sweeps:
        yield from sweep_commands(what, root, minutes)


__all__ = ["CleanUp", "CompressFiles", "RemoveFiles"]
