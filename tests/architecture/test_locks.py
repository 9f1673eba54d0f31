"""The locks must install on every Python and machine that BytePort names, not only on this one."""

import re
from importlib.metadata import distributions
from itertools import product

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.architecture.source import ROOT

PYTHONS = ("3.11.2", "3.11.9", "3.12.3", "3.13.5")
MACHINES = ("x86_64", "aarch64")


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lock):
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if line and line[0] not in " #"}


@pytest.mark.parametrize(("python", "machine"), list(product(PYTHONS, MACHINES)))
def test_every_package_finds_what_it_wants_in_the_lock(python, machine):
    here = default_environment() | {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "platform_machine": machine,
        "extra": "",
    }
    locked = pinned("requirements-dev.lock")
    wanted = {
        (canonical(one.metadata["Name"]), requirement.name)
        for one in distributions()
        if canonical(one.metadata["Name"]) in locked
        for requirement in map(Requirement, one.requires or ())
        if requirement.marker is None or requirement.marker.evaluate(here)
    }
    assert len(wanted) > 50
    assert {(who, what) for who, what in wanted if canonical(what) not in locked} == set()


def test_the_development_lock_holds_the_plain_one():
    def pins(lock):
        return {
            line.split()[0] for line in (ROOT / lock).read_text(encoding="utf-8").splitlines() if line[:1].isalnum()
        }

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
