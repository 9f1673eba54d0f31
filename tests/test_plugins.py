"""Pages of one's own, and the ways to their targets that they bring."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from byteport import plugins, wiring
from byteport.errors import Permanent
from byteport.settings import Settings

PAGE = """
from dataclasses import replace
from tests.ward.pages import ONE
RUNBOOK = replace(ONE, name="{name}", signals=())

class Door:
    closed = 0
    def close(self):
        type(self).closed += 1

{more}
"""
STORES = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "broker_url": "redis://127.0.0.1:1/0"}


def written(folder: Path, name: str, more: str) -> None:
    (folder / f"{name}.py").write_text(PAGE.format(name=name, more=more))


def why(found: plugins.Found, name: str) -> str:
    return next(broken.why for broken in found.broken if broken.name == name)


def test_a_page_brings_the_ways_to_its_target(tmp_path: Path) -> None:
    written(tmp_path, "ward_a", "READERS = {'ward': Door}\nWRITERS = {'ward': Door}")
    settings = Settings(pages_folder=tmp_path, data_dir=tmp_path, **STORES)
    with wiring.build(settings, role="act") as world:
        readers, writers = _any(world.readers), _any(world.writers)
        assert "ward_a" in world.pages.by_name
        assert readers.ward is readers.ward
        assert readers.ward is not writers.ward
        assert copy.copy(readers) == readers
        door = type(readers.ward)
    assert door.closed == 2


def test_a_process_that_only_looks_gets_no_writer_and_one_that_decides_gets_neither(tmp_path: Path) -> None:
    written(tmp_path, "ward_a", "READERS = {'ward': Door}\nWRITERS = {'ward': Door}")
    settings = Settings(pages_folder=tmp_path, data_dir=tmp_path, **STORES)
    with wiring.build(settings, role="probe") as looks:
        assert _any(looks.readers).ward
        with pytest.raises(Permanent, match="no way to ward"):
            _ = _any(looks.writers).ward
    with wiring.build(settings, role="decide") as decides, pytest.raises(Permanent, match="no way to ward"):
        _ = _any(decides.readers).ward


def test_a_port_that_nobody_brings_is_an_ordinary_attribute_error(tmp_path: Path) -> None:
    with (
        wiring.build(Settings(data_dir=tmp_path, **STORES), role="act") as world,
        pytest.raises(AttributeError, match="'ward'"),
    ):
        _ = _any(world.readers).ward


@pytest.mark.parametrize("name", ["database", "patients", "own"])
def test_a_page_that_would_replace_a_port_of_byteport_is_left_out(tmp_path: Path, name: str) -> None:
    written(tmp_path, "ward_a", f"READERS = {{{name!r}: Door}}")
    found = plugins.find(tmp_path)
    assert why(found, "ward_a") == f"READERS: {name} is taken"
    assert "ward_a" not in [page.name for page in found.pages]
    assert not found.readers


def test_two_pages_with_the_same_port_by_different_makers_contradict_each_other(tmp_path: Path) -> None:
    written(tmp_path, "ward_a", "READERS = {'ward': Door}")
    written(tmp_path, "ward_b", "READERS = {'ward': Door}")
    found = plugins.find(tmp_path)
    assert why(found, "ward_b") == "READERS: ward is taken"
    assert found.readers["ward"]().closed == 0


@pytest.mark.parametrize("brought", ["{'_x': Door}", "{'a b': Door}", "{'ward': 3}"])
def test_what_is_no_name_or_cannot_be_made_is_left_out(tmp_path: Path, brought: str) -> None:
    written(tmp_path, "ward_a", f"WRITERS = {brought}")
    assert "callable without arguments" in why(plugins.find(tmp_path), "ward_a")


def test_a_page_that_raises_names_its_file_and_the_others_run(tmp_path: Path) -> None:
    written(tmp_path, "ward_a", "raise RuntimeError('no licence')")
    written(tmp_path, "ward_b", "")
    found = plugins.find(tmp_path)
    assert [(b.name, b.origin, b.why) for b in found.broken] == [
        ("ward_a", str(tmp_path / "ward_a.py"), "RuntimeError: no licence")
    ]
    assert "ward_b" in [page.name for page in found.pages]


def _any(ports: object) -> Any:
    return ports
