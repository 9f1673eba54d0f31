"""Templates: everything that is shown is escaped, and an unknown name is an error and not an empty place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from byteport import __version__
from byteport.redaction import redact
from byteport.shown.course import tone_of
from byteport.shown.times import left, seconds

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Templates:
    """Jinja2 with the few filters that the pages use."""

    @cached_property
    def environment(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        environment.filters.update({"tone": tone_of, **{each.__name__: each for each in FILTERS}})
        environment.globals["version"] = __version__
        return environment

    def render(self, name: str, **told: object) -> str:
        return self.environment.get_template(name).render(**told)


def moment(at: datetime | str | None) -> Markup:
    """A time as UTC, which the browser turns into the reader's own; empty where there is none."""
    if not at:
        return Markup("")
    when = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        when.isoformat(), when.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3], when.strftime("%H:%M:%S")
    )


def percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.0%}".replace("%", "\u202f%")


def markdown(text: str) -> Markup:
    """CommonMark without raw HTML; links with dangerous schemes are left as text."""
    return Markup(MarkdownIt("commonmark", {"html": False}).disable("image").render(text))  # noqa: S704 - html is off


def pretty(value: object) -> str:
    """JSON for reading, redacted and clipped."""
    text = json.dumps(redact(value), indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= 20_000 else text[:20_000] + "\n…"


def plain(name: object) -> str:
    return str(name).replace("_", " ")


def short(value: object, length: int = 120) -> Markup:
    """One line of a value, with the whole of it as its title where it was cut."""
    text = "—" if value is None or value == "" else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    if len(text) <= length:
        return escape(text)
    return Markup('<span title="{}">{}…</span>').format(text[:2000], text[: length - 1])


FILTERS = (moment, seconds, left, percent, markdown, pretty, plain, short)
