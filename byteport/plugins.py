"""Pages from the entry point group `byteport.runbooks`, ours included, and from a configured folder."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from byteport.grammar.runbook import Runbook
from byteport.model.base import digest_of

GROUP = "byteport.runbooks"


@dataclass(frozen=True)
class Broken:
    """A page that did not load: where it comes from, and why."""

    name: str
    origin: str
    why: str


@dataclass(frozen=True)
class Found:
    """The pages that loaded, by slug order, and those that did not. A broken one is left out, never silently."""

    pages: tuple[Runbook, ...]
    broken: tuple[Broken, ...]


def find(folder: Path | None = None) -> Found:
    """Load every page once. Nothing here raises for a page's own fault."""
    loaded: dict[str, Runbook] = {}
    broken: list[Broken] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        _load(entry, loaded, broken)
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        _load_file(path, loaded, broken)
    return Found(tuple(loaded[name] for name in sorted(loaded)), tuple(broken))


def _load(entry: EntryPoint, loaded: dict[str, Runbook], broken: list[Broken]) -> None:
    origin = entry.dist.name if entry.dist is not None else entry.value
    try:
        _keep(entry.load(), entry.name, origin, loaded, broken)
    except Exception as problem:  # noqa: BLE001 - whatever a foreign module raises, the other pages run
        broken.append(Broken(entry.name, origin, f"{type(problem).__name__}: {problem}"))


def _load_file(path: Path, loaded: dict[str, Runbook], broken: list[Broken]) -> None:
    name = f"byteport_user_pages.{path.stem}_{digest_of(str(path.resolve()))[:8]}"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            broken.append(Broken(path.stem, str(path), "not a Python module"))
            return
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        _keep(getattr(module, "RUNBOOK", None), path.stem, str(path), loaded, broken)
    except Exception as problem:  # noqa: BLE001 - as above
        broken.append(Broken(path.stem, str(path), f"{type(problem).__name__}: {problem}"))


def _keep(page: object, name: str, origin: str, loaded: dict[str, Runbook], broken: list[Broken]) -> None:
    if not isinstance(page, Runbook):
        broken.append(Broken(name, origin, "RUNBOOK is not a Runbook"))
    elif page.name in loaded:
        broken.append(Broken(name, origin, f"a page named {page.name} is loaded already"))
    else:
        loaded[page.name] = page
