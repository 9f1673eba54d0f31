"""Rotating by force is done only to what logrotate itself would rotate, with all that its configuration says."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from byteport.model.root_commands import rotate_logs
from tests import machine
from tests.machine import Machine
from tests.scratch import Scratch

GENERAL = "rotate 4\ncreate\ntabooext + .parked\ninclude /etc/logrotate.d\n"
ENTRY = "/var/log/{name}.log {{\n  missingok\n}}\n"


@pytest.fixture(scope="module")
def web() -> Iterator[Machine]:
    with machine.running({"/tmp": Scratch("ext4", 2, options=("-m", "0"))}, keeps_journal=False) as one:
        for entry in (one.root / "etc/logrotate.d").iterdir():
            entry.unlink()
        yield one


@pytest.fixture(autouse=True)
def configured(web) -> Iterator[None]:
    (web.root / "etc/logrotate.conf").write_text(GENERAL)
    yield
    for file in [*(web.root / "etc/logrotate.d").iterdir(), *(web.root / "var/log").glob("*.log*")]:
        file.unlink()


def logged(web: Machine, name: str, entry: str) -> Path:
    """A log that was rotated once, with an entry for it."""
    (web.root / "etc/logrotate.d" / entry).write_text(ENTRY.format(name=name))
    log = web.root / f"var/log/{name}.log"
    log.write_text("now\n")
    log.with_name(f"{name}.log.1").write_text("before\n")
    return log


def rotate(web: Machine) -> None:
    web.as_root(*rotate_logs("force"))


def read(log: Path, *endings: str) -> list[str]:
    return [log.with_name(log.name + ending).read_text() for ending in endings]


def test_an_entry_that_somebody_has_put_out_of_use_is_not_obeyed(web):
    """logrotate asks for an ending only where it is given the folder."""
    out_of_use = [logged(web, name, f"{name}{ending}") for name, ending in
                  (("a", ".disabled"), ("b", ".dpkg-old"), ("c", "~"), ("d", ".rpmsave"), ("e", ".parked"))]  # fmt: skip
    shop = logged(web, "shop", "shop")
    rotate(web)
    assert read(shop, "", ".1", ".2") == ["", "now\n", "before\n"]
    assert [read(log, "", ".1") for log in out_of_use] == [["now\n", "before\n"]] * 5


def test_a_full_tmp_takes_nothing_from_the_configuration(web):
    """Without its general part logs would be removed in place of being rotated."""
    shop = logged(web, "shop", "shop")
    web.as_root("sh", "-c", "dd if=/dev/zero of=/tmp/full bs=1k 2>/dev/null; true")
    try:
        rotate(web)
        assert read(shop, "", ".1", ".2") == ["", "now\n", "before\n"]
    finally:
        web.as_root("rm", "/tmp/full")
    assert [path.name for path in (web.root / "run").glob("byteport*")] == []


def test_without_a_general_configuration_nothing_is_rotated(web):
    shop = logged(web, "shop", "shop")
    (web.root / "etc/logrotate.conf").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        rotate(web)
    assert read(shop, "", ".1") == ["now\n", "before\n"]
