"""What of docker's may go: what nothing has used for three days, but for the two newest revisions of each service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from byteport.grammar.plan import Do
from byteport.grammar.runbook import Move
from byteport.model.facts.disks import ContainerUse, Image
from byteport.model.root_commands import ANY_IMAGE, DOCKER
from byteport.runbooks.linux import disk_steps as steps
from byteport.runbooks.linux.reclaim_evidence import ReclaimEvidence

KEPT_REVISIONS, MOST = 2, 20
UNUSED = timedelta(hours=72)
STOPPED = (DOCKER, "container", "prune", "--force", "--filter", "until=72h")
BUILDS = (DOCKER, "builder", "prune", "--force", "--filter", "until=72h")
REMOVE = (DOCKER, "image", "rm")


def clean_up(e: ReclaimEvidence, move: Move) -> Iterable[Do]:
    """One step; none on a Kubernetes node, and none while a container that has just ended may await somebody's look."""
    found = e.docker_usage if e.knows("docker_usage") else None
    if found is None or found.just_ended or e.fs.kubernetes or e.options.get("isK8sNode") is True:
        return
    unused = [(*REMOVE, image.id) for image in removable(found, e.looked_at)][:MOST]
    yield from steps.clean_up(e, move, "containers", "/var/lib/docker", (STOPPED, *unused, BUILDS))


def removable(found: ContainerUse, now: datetime) -> list[Image]:
    """Images that no container uses, older than three days, and not among the two newest of their repository; what
    has no name is nobody's revision."""
    newest = {
        image.id
        for repository in {image.repository for image in found.images if image.repository not in ("", "<none>")}
        for image in revisions(found, repository)[:KEPT_REVISIONS]
    }
    return [
        image
        for image in found.images
        if not image.containers and image.id not in newest and image.made_at and image.made_at < now - UNUSED
    ]


def revisions(found: ContainerUse, repository: str) -> list[Image]:
    """The newest first, and last whose date cannot be read."""
    ours = [image for image in found.images if image.repository == repository]
    return sorted(ours, key=lambda image: image.made_at or datetime.min.replace(tzinfo=UTC), reverse=True)


def as_root() -> Iterable[tuple[str, ...]]:
    """What of docker's it may run at all."""
    yield from (STOPPED, BUILDS)
    yield (*REMOVE, ANY_IMAGE)


__all__ = ["ANY_IMAGE", "as_root", "clean_up", "removable"]
