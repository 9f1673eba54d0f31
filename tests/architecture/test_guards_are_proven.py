"""Each guard of each page that is built has a test that it refuses, and a twin in which it allows."""

import importlib
import re
import tomllib

import pytest

from byteport.grammar.reading import listing
from byteport.grammar.runbook import Runbook
from tests.architecture.source import ROOT, functions, modules, named

GROUP = "byteport.runbooks"


def entry_points():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(declared["project"]["entry-points"][GROUP])


def page_of(entry):
    module, _, attribute = entry.partition(":")
    return getattr(importlib.import_module(module), attribute)


def identifier(name):
    return re.sub(r"\W+", "_", name).strip("_").lower()


def names_of_tests():
    return {one.name for path in modules("tests") for one in functions(path)}


def missing_tests(page, tests):
    """The tests that this page's guards still want."""
    guards = dict.fromkeys(identifier(guard["name"]) for guard in listing(page)["guards"])
    wanted = [f"test_{identifier(page.name)}__{guard}{twin}" for guard in guards for twin in ("", "__allowed")]
    return [name for name in wanted if name not in tests]


@pytest.mark.parametrize(("slug", "entry"), entry_points().items())
def test_every_guard_has_a_test_that_it_refuses_and_one_that_it_allows(slug, entry):
    page = page_of(entry)
    assert isinstance(page, Runbook)
    assert page.name == slug
    assert listing(page)["guards"], f"{slug} has no guard at all"
    assert missing_tests(page, names_of_tests()) == []


def test_a_guard_without_its_twin_is_found():
    page = page_of(next(iter(entry_points().values())))
    complete = set(missing_tests(page, set()))
    lost = min(complete)
    assert missing_tests(page, complete) == []
    assert missing_tests(page, complete - {lost}) == [lost]


def test_every_page_in_the_folder_is_an_entry_point():
    pages = {
        named(path).removesuffix(".py").replace("/", ".")
        for path in modules("byteport/runbooks")
        if re.search(r"^RUNBOOK\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert pages == {entry.partition(":")[0] for entry in entry_points().values()}
