"""A host that drops the connection in the midst of a command: what became of it is looked at, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from byteport.adapters.budgets import RedisBudgets
from byteport.adapters.ledger import PostgresLedger, migrate
from byteport.runbooks.linux.disk_pressure_auto_cleanup import RUNBOOK
from tests.machine import Machine
from tests.pages.full_disk import OLD_DATA, Old, Site, full, site
from tests.real.hosts import cut_off_once

SLOWLY = """#!/bin/sh
{before}
[ ! -e "$3" ] || echo "$3" >>/srv/removed
/usr/bin/rm.real "$@"; did=$?
{after}
exit $did
"""
WAITS = "touch /srv/now; sleep 3"


@pytest.fixture
def cleaned(ledger_url: str, redis_url: str) -> Iterator[Site]:
    migrate(ledger_url)
    ledger, budgets = PostgresLedger(ledger_url), RedisBudgets(redis_url)
    with ExitStack() as undo:
        undo.callback(ledger.close)
        undo.callback(budgets.close)
        yield undo.enter_context(
            site(
                RUNBOOK,
                ledger,
                budgets,
                ledger_url,
                redis_url,
                {"/var": full(OLD_DATA, Old("lib/shop/data.bin", 29.5))},
            )
        )


def removes(machine: Machine, **when: str) -> None:
    """Its rm writes down what is there to remove, and waits before or after it has done it."""
    tool = machine.root / "usr/bin/rm"
    tool.rename(tool.with_name("rm.real"))
    tool.write_text(SLOWLY.format(**{"before": "", "after": "", **when}))
    tool.chmod(0o755)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_clean_up_that_is_cut_off_is_settled_by_looking_and_done_once(cleaned: Site, when: str) -> None:
    machine = cleaned.machine
    removes(machine, **{when: WAITS})
    with cut_off_once(machine, machine.root / "srv/now") as cut:
        ended = cleaned.treat()
    told = cleaned.story(ended)
    assert cut, told
    assert "cut off" in told
    assert ended.ending == "resolved", told
    removed = (machine.root / "srv/removed").read_text().splitlines()
    assert [line for line in removed if "left-behind" in line] == ["./left-behind.bin"], told
