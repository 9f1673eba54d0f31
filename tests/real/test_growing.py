"""A file system takes what its disk has gained, by the very script that sudo lets through; on a loop device of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from byteport.adapters.disk_layout import layout_under
from byteport.adapters.local_host import LocalTransport
from byteport.model.root_commands import grow_file_system
from tests.servers import eventually

MB = 1024 * 1024


def ran(*argv: str) -> str:
    told = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, f"{argv}: {told.stderr}"
    return told.stdout.strip()


@contextmanager
def disk(folder: Path, kind: str, table: str = "") -> Iterator[tuple[Path, Path, str]]:
    """Its image, where it is mounted, and its device."""
    image, place = folder / "disk.img", folder / "mnt"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(400 * MB)
    if table:
        subprocess.run(["sfdisk", "-q", str(image)], input=table.encode(), check=True, timeout=60)
    with ExitStack() as undo:
        device = ran("losetup", "--find", "--show", "--partscan", str(image))
        undo.callback(ran, "losetup", "--detach", device)
        nodes = [f"{device}p1"] if table else [device]
        eventually(lambda: all(Path(node).exists() for node in nodes) or ran("partx", "--update", device), within=10)
        ran(f"mkfs.{kind}", "-q", nodes[0])
        ran("mount", nodes[0], str(place))
        undo.callback(ran, "umount", str(place))
        yield image, place, device


def enlarged(image: Path, device: str, megabytes: int = 700) -> None:
    with image.open("r+b") as file:
        file.truncate(megabytes * MB)
    ran("losetup", "--set-capacity", device)


def size(place: Path) -> int:
    return int(ran("stat", "-f", "-c", "%b", str(place))) * int(ran("stat", "-f", "-c", "%S", str(place))) // MB


def test_a_whole_disk_and_its_file_system(tmp_path):
    with disk(tmp_path, "xfs") as (image, place, device):
        before = size(place)
        ran(*grow_file_system(str(place)))
        assert size(place) == before
        enlarged(image, device)
        ran(*grow_file_system(str(place)))
        assert size(place) > before + 250


def test_the_last_partition_and_its_file_system(tmp_path):
    with disk(tmp_path, "xfs", "label: gpt\nsize=380M\n") as (image, place, device):
        before = size(place)
        enlarged(image, device)
        ran(*grow_file_system(str(place)))
        assert size(place) > before + 250


def test_ext4_is_asked_to_grow_where_it_is_mounted(tmp_path):
    """That needs CAP_SYS_RESOURCE, which root does not have in every container: then the kernel refuses, and says so."""
    with disk(tmp_path, "ext4", "label: gpt\nsize=380M\n") as (image, place, device):
        before = size(place)
        enlarged(image, device)
        told = subprocess.run(grow_file_system(str(place)), check=False, capture_output=True, text=True, timeout=60)
        assert int(ran("blockdev", "--getsize64", f"{device}p1")) > 600 * MB
        refused = told.returncode == 1 and "Permission denied to resize filesystem" in told.stderr
        assert refused or (told.returncode == 0 and size(place) > before + 250)


def test_a_partition_with_another_behind_it_is_left_to_people(tmp_path):
    with disk(tmp_path, "ext4", "label: gpt\nsize=300M\nsize=50M\n") as (image, place, device):
        enlarged(image, device)
        told = subprocess.run(grow_file_system(str(place)), check=False, capture_output=True, text=True, timeout=60)
        assert told.returncode == 5
        assert "is not the last partition" in told.stderr


def test_what_is_mounted_from_no_disk_is_left_to_people(tmp_path):
    told = subprocess.run(grow_file_system("/proc"), check=False, capture_output=True, text=True, timeout=60)
    assert (told.returncode, "proc is not grown" in told.stderr) == (5, True)


class Here:
    """This machine, by the one name that it is asked for."""

    def get(self, name: str) -> LocalTransport:
        assert name == "here"
        return LocalTransport()


def test_a_disk_is_told_with_its_size_and_google_s_names_of_it(tmp_path):
    """The links of udev's rules on Google's images: one for the disk, one for each of its partitions."""
    by_id = Path("/dev/disk/by-id")
    by_id.mkdir(parents=True, exist_ok=True)
    name = f"byteport-{tmp_path.name}"
    links = [by_id / f"google-{name}", by_id / f"google-{name}-part1"]
    with disk(tmp_path, "xfs", "label: gpt\nsize=380M\n") as (image, place, device), ExitStack() as undo:
        for link, target in zip(links, (device, f"{device}p1"), strict=True):
            link.symlink_to(target)
            undo.callback(link.unlink)
        told = layout_under(Here(), "here", str(place))
        assert (told.part, told.kind, told.google, told.unfit) == ("last", "xfs", (name,), "")
        assert told.gigabytes == 400 / 1024
        enlarged(image, device, 1024)
        assert layout_under(Here(), "here", str(place)).gigabytes == 1
