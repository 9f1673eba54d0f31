"""Pages from the entry point group `byteport.runbooks`, ours included, and from a configured folder.

A page's module may bring ways to a target of its own beside its `RUNBOOK`: `READERS` and `WRITERS`, each a mapping from
the name that its probes and actions ask for (`readers.NAME`, `writers.NAME`) to what makes it, called once a process.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from byteport.errors import Permanent
from byteport.grammar.runbook import Runbook
from byteport.model.base import digest_of
from byteport.ports import Readers, Writers

GROUP = "byteport.runbooks"
_INSIDE = ("own", "patients")  # what readers and writers hold for themselves
Makers = Mapping[str, Callable[[], Any]]


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
    readers: Makers = field(default_factory=dict)
    writers: Makers = field(default_factory=dict)

    def ports(self, *, looks: bool, acts: bool) -> tuple[OwnPorts, OwnPorts]:
        """What the pages bring for looking and for writing, for a process that may do the one, both or neither."""
        return OwnPorts(self.readers, looks), OwnPorts(self.writers, acts)


@dataclass(frozen=True)
class OwnPorts:
    """The ports that pages bring, made on first use and kept; none in a process that has no business at targets."""

    makers: Makers = field(default_factory=dict)
    allowed: bool = True
    _made: dict[str, Any] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def get(self, name: str) -> Any:
        """The port; AttributeError where no page brings it, Permanent where this process may not reach targets."""
        if name not in self.makers:
            raise AttributeError(f"no port {name!r}: neither BytePort nor a page brings it")
        if not self.allowed:
            raise Permanent(f"this process has no way to {name}")
        with self._making:
            if name not in self._made:
                self._made[name] = self.makers[name]()
            return self._made[name]

    def close(self) -> None:
        """Close those that can be closed."""
        while self._made:
            _, port = self._made.popitem()
            getattr(port, "close", lambda: None)()


@dataclass(frozen=True)
class WithOwnPorts:
    """Readers or writers that hand out the pages' own ports by name, after BytePort's."""

    own: OwnPorts

    def __getattr__(self, name: str) -> Any:
        if name == "own" or name.startswith("_"):  # asked while a copy is being made
            raise AttributeError(name)
        return self.own.get(name)


def find(folder: Path | None = None) -> Found:
    """Load every page once. Nothing here raises for a page's own fault."""
    shelf = _Shelf()
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        shelf.add(entry.name, entry.dist.name if entry.dist is not None else entry.value, partial(_loaded, entry))
    for path in sorted(folder.glob("*.py")) if folder is not None else ():
        shelf.add(path.stem, str(path), partial(_read, path))
    pages = tuple(shelf.pages[name] for name in sorted(shelf.pages))
    return Found(pages, tuple(shelf.broken), shelf.readers, shelf.writers)


@dataclass
class _Shelf:
    pages: dict[str, Runbook] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    readers: dict[str, Callable[[], Any]] = field(default_factory=dict)
    writers: dict[str, Callable[[], Any]] = field(default_factory=dict)

    def add(self, name: str, origin: str, load: Callable[[], tuple[object, object]]) -> None:
        """`load` answers the page and its module; whatever a foreign module raises, the other pages run."""
        try:
            self._keep(*load())
        except Exception as problem:  # noqa: BLE001 - as said above
            why = str(problem) if isinstance(problem, _Unfit) else f"{type(problem).__name__}: {problem}"
            self.broken.append(Broken(name, origin, why))

    def _keep(self, page: object, module: object) -> None:
        if not isinstance(page, Runbook):
            raise _Unfit("RUNBOOK is not a Runbook")
        if page.name in self.pages:
            raise _Unfit(f"a page named {page.name} is loaded already")
        readers = _ports(module, "READERS", Readers, self.readers)
        writers = _ports(module, "WRITERS", Writers, self.writers)
        self.pages[page.name] = page
        self.readers |= readers
        self.writers |= writers


class _Unfit(Exception):
    """Why a page is left out, in words."""


def _ports(module: object, kind: str, ours: type, known: Makers) -> dict[str, Callable[[], Any]]:
    """What the module brings; a name that is BytePort's own, or another maker's, would change what a page means."""
    brought = dict(getattr(module, kind, {}))
    for name, maker in brought.items():
        if name in _INSIDE or hasattr(ours, name) or known.get(name, maker) is not maker:
            raise _Unfit(f"{kind}: {name} is taken")
        if not name.isidentifier() or name.startswith("_") or not callable(maker):
            raise _Unfit(f"{kind}: {name!r} must be a name, and what makes it callable without arguments")
    return brought


def _loaded(entry: EntryPoint) -> tuple[object, object]:
    return entry.load(), sys.modules.get(entry.module)


def _read(path: Path) -> tuple[object, object]:
    name = f"byteport_user_pages.{path.stem}_{digest_of(str(path.resolve()))[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _Unfit("not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return getattr(module, "RUNBOOK", None), module
