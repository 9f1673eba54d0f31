"""What docker keeps and what is pruned of it, by the very words of the runbooks, on a real daemon."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from byteport.adapters.docker import used
from byteport.model.facts.disks import ContainerUse
from byteport.model.root_commands import CONTAINER_USE
from byteport.runbooks.linux import disk_steps
from byteport.runbooks.linux.reclaim_containers import REMOVE, removable
from tests.real.dockerd import Docker, docker

SHOP = "byteport-test/shop"


def image(folder: Path, name: str) -> Path:
    """busybox, and a file of its own so that no two are the same."""
    file = folder / f"{name}.tar"
    with tarfile.open(file, "w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for applet in ("sh", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        told = tarfile.TarInfo("name")
        told.size = len(name)
        tar.addfile(told, io.BytesIO(name.encode()))
    return file


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    folder = tmp_path_factory.mktemp("images")
    with docker() as ours:
        for version in ("v1", "v2", "v3", "v4"):
            ours.load(f"{SHOP}:{version}", image(folder, version))
        ours.load(f"{SHOP}:moved", image(folder, "old"))
        ours.load(f"{SHOP}:moved", image(folder, "new"))  # the one before has no name any more
        ours.run("run", "--detach", "--network=none", "--name=runs", f"{SHOP}:v1", "/bin/sleep", "600")
        ours.run("run", "--network=none", "--name=ended", "--volume=data:/data", f"{SHOP}:v2", "/bin/true")
        yield ours
        ours.run("rm", "--force", "runs")


def words(*command: str) -> tuple[str, ...]:
    assert command[0] == "/usr/bin/docker"
    return command[1:]


def looked(daemon: Docker) -> ContainerUse:
    return used(daemon.run(*words(*CONTAINER_USE)))


def tags(daemon: Docker) -> set[str]:
    return {line for line in daemon.run("image", "ls", "--format", "{{.Tag}}", SHOP).split() if line != "<none>"}


def test_images_volumes_and_who_has_just_ended_are_told(daemon):
    seen = looked(daemon)
    by_tag = {one.tag: one for one in seen.images}
    assert {"v1", "v2", "v3", "v4", "moved", "<none>"} <= set(by_tag)
    assert (by_tag["v1"].containers, by_tag["v2"].containers, by_tag["v3"].containers) == (1, 1, 0)
    assert all(len(one.id) == len("sha256:") + 64 for one in seen.images)
    assert all(one.bytes > 100_000 for one in seen.images)
    assert [one.name for one in seen.volumes] == ["data"]
    assert seen.just_ended == ("ended",)


def test_what_has_just_been_made_is_left_and_volumes_always_are(daemon):
    for command in disk_steps.PRUNE:
        daemon.run(*words(*command))
    assert "ended" in daemon.run("ps", "--all", "--format", "{{.Names}}")
    assert daemon.run("volume", "ls", "--quiet").split() == ["data"]
    assert {"v1", "v2", "v3", "v4", "moved"} == tags(daemon)
    assert "<none>" not in {one.tag for one in looked(daemon).images}


def test_four_days_later_all_but_the_two_newest_and_those_in_use_go(daemon):
    seen = looked(daemon)
    assert removable(seen, datetime.now(UTC)) == []
    chosen = removable(seen, datetime.now(UTC) + timedelta(days=4))
    newest = sorted(seen.images, key=lambda one: one.created, reverse=True)[:2]
    assert not {one.tag for one in chosen} & {"v1", "v2", *(one.tag for one in newest)}
    for one in chosen:
        daemon.run(*words(*REMOVE, one.id))
    assert tags(daemon) == {"v1", "v2", "v3", "v4", "moved"} - {one.tag for one in chosen}
    assert daemon.run("volume", "ls", "--quiet").split() == ["data"]
