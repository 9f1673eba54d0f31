"""What a page's own code tells of an incident; a bug there keeps nothing else from being told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from byteport.grammar.story import Story


def from_page(tell: Callable[[Story], Any] | None, story: Story, nothing: Any, wrong: Callable[[str], Any]) -> Any:
    """What the page adds; a bug there is told in its place, for it must not keep people from hearing the rest."""
    if tell is None:
        return nothing
    kinds = (tuple, list) if isinstance(nothing, tuple) else type(nothing)
    try:
        told = tell(story)
        return told if isinstance(told, kinds) else wrong(f"the page told {told!r}")
    except Exception as bug:  # noqa: BLE001 - whatever a page's own code raises
        return wrong(f"the page could not tell: {bug!r}")
