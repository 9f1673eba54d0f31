"""What the configuration says of runbooks, held against the pages that are installed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from byteport.grammar.guards import Budget
from byteport.grammar.reading import all_guards
from byteport.grammar.runbook import Option, Runbook
from byteport.model.route import Route, shadowed
from byteport.redaction import redact
from byteport.settings import Settings


def problems_with(settings: Settings, pages: Sequence[Runbook]) -> list[tuple[str, str]]:
    """Every runbook and option that does not exist, is of the wrong kind, or would loosen a limit."""
    sections = {slug: section.options for slug, section in settings.runbooks.items()}
    wrong = _problems_in(sections, pages) + list(_of_names(settings, pages))
    return wrong + list(_of_routes(settings.routes, pages))


def problems_told(told: Mapping[str, Any], pages: Sequence[Runbook]) -> list[tuple[str, str]]:
    """The same of what file and environment say where no settings can be made of it, so that all is told at once."""
    sections = told.get("runbooks")
    given = sections if isinstance(sections, Mapping) else {}
    options = {str(slug): section.get("options") for slug, section in given.items() if isinstance(section, Mapping)}
    return _problems_in({slug: said if isinstance(said, Mapping) else {} for slug, said in options.items()}, pages)


def _of_routes(routes: Sequence[Route], pages: Sequence[Runbook]) -> Iterator[tuple[str, str]]:
    """A route that can never be reached, or leads to what no installed runbook claims, is a mistake."""
    for earlier, later in shadowed(routes):
        yield f"routes.{later}", f"a selector of its own; routes.{earlier} selects the same and comes first"
    claimed = {(signal.name, page.target) for page in pages for signal in page.signals}
    for place, route in enumerate(routes):
        if (route.signal, route.target.kind) in claimed:
            continue
        kinds = sorted(str(kind) for name, kind in claimed if name == route.signal)
        if kinds:
            yield f"routes.{place}.target.kind", f"{' or '.join(kinds)} for {route.signal}"
        else:
            yield (
                f"routes.{place}.signal",
                f"a signal of an installed runbook{_near(route.signal, {n for n, _ in claimed})}",
            )


def _of_names(settings: Settings, pages: Sequence[Runbook]) -> Iterator[tuple[str, str]]:
    """An option that names a part of the configuration names one that exists."""
    for page in pages:
        section = settings.runbooks.get(page.name)
        for option in page.options if section is not None else ():
            known = getattr(settings, option.names) if option.names else {}
            told = section.options.get(option.name) if section is not None else None
            if option.names and told and told not in known:
                yield f"runbooks.{page.name}.options.{option.name}", f"one of {option.names}{_near(str(told), known)}"


def _problems_in(told: Mapping[str, Mapping[str, Any]], pages: Sequence[Runbook]) -> list[tuple[str, str]]:
    known = {page.name: page for page in pages}
    problems: list[tuple[str, str]] = []
    for slug, options in told.items():
        if slug not in known:
            problems.append((f"runbooks.{slug}", f"a runbook that is installed{_near(slug, known)}"))
            continue
        for name, value in options.items():
            problems += ((f"runbooks.{slug}.options.{name}", wrong) for wrong in _wrong(known[slug], str(name), value))
    return problems


def _wrong(page: Runbook, name: str, value: Any) -> Iterator[str]:
    options = {option.name: option for option in page.options}
    if name not in options:
        yield f"an option of the page{_near(name, options)}"
        return
    option = options[name]
    if option.elsewhere:
        yield f"nothing: it is set as {option.elsewhere}"
    elif isinstance(option.default, list | dict):
        yield from _of_words(option.default, value)
    else:
        yield from _of_one(page, option, value)


def _of_one(page: Runbook, option: Option, value: Any) -> Iterator[str]:
    name, default = option.name, option.default
    numeric = isinstance(default, int | float) and not isinstance(default, bool)
    if numeric and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield "a number"
        return
    if isinstance(default, bool | str) and not isinstance(value, type(default)):
        yield "true or false" if isinstance(default, bool) else "a text"
        return
    if isinstance(default, int) and isinstance(value, float):
        yield "a whole number"
    if option.least is not None and value < option.least:
        yield f"at least {option.least:g}"
    if option.most is not None and value > option.most:
        yield f"at most {option.most:g}"
    limits = [guard.limit for guard in all_guards(page) if isinstance(guard, Budget) and guard.option == name]
    if limits and value > min(limits):
        yield f"at most {min(limits)}: a limit may only be tightened"
    if limits and value < 0:
        yield "0 or more"


def _of_words(default: list[Any] | dict[str, Any], value: Any) -> Iterator[str]:
    """A command or an environment: texts, and none of them a secret, since people and the journal see them."""
    if not isinstance(value, list | tuple if isinstance(default, list) else Mapping):
        yield "a list of texts, one for each word" if isinstance(default, list) else "a mapping of names to texts"
        return
    names, words = (list(value), list(value.values())) if isinstance(value, Mapping) else ([], list(value))
    if not all(isinstance(word, str) and "\x00" not in word for word in (*names, *words)):
        yield "texts, without NUL"
    elif redact(value if names else " ".join(words)) != (dict(value) if names else " ".join(words)):
        yield "no secret: put it into a file that the command reads"


def _near(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f" ({', '.join(sorted(known)) or 'none'})"
