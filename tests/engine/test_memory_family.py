"""Three pages on a host's memory, and exactly one of them for a signal."""

from __future__ import annotations

import pytest

from byteport.engine.pages import Pages
from byteport.model.target import TargetKind
from byteport.runbooks.linux.memory_pressure import RUNBOOK as HOST
from byteport.runbooks.linux.memory_pressure_auto_recover import RUNBOOK as RECOVER
from byteport.runbooks.linux.memory_pressure_oom import RUNBOOK as OOM

ALL = (HOST, RECOVER, OOM)


@pytest.mark.parametrize(
    ("signal", "kind", "takes"),
    [
        ("memory_pressure", TargetKind.HOST, [HOST]),
        ("memory_pressure", TargetKind.SERVICE, [OOM, RECOVER]),
        ("oom_kill", TargetKind.SERVICE, [OOM]),
        ("oom_kill", TargetKind.HOST, []),
    ],
)
def test_who_takes_a_signal_first(signal, kind, takes):
    assert Pages(ALL).claimants(signal, kind) == takes


def test_people_may_order_them_otherwise_or_leave_one_out():
    assert Pages(ALL, order={RECOVER.name: 1}).claimants("memory_pressure", TargetKind.SERVICE)[0] is RECOVER
    enabled = frozenset({HOST.name, RECOVER.name})
    assert Pages(ALL, enabled).claimants("memory_pressure", TargetKind.SERVICE) == [RECOVER]
