"""The page on kills for want of memory: each guard with its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from byteport.actions.units import RestartUnit
from byteport.errors import BadRunbook
from byteport.grammar.action import Action
from byteport.grammar.guard import Facts
from byteport.grammar.plan import Plan
from byteport.model.facts.memory import MIB
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_oom_evidence import OomEvidence
from byteport.runbooks.linux.memory_oom_guards import backoff
from byteport.runbooks.linux.memory_pressure_oom import RESTART, RUNBOOK
from tests.pages.oom import asked, held, leaks, rests, target, treat
from tests.pages.shelf import HOST, SHOP
from tests.pages.test_memory_oom import dumps

SUBJECT = f"service:{SHOP}@{HOST}"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


class RaiseOnPaper(Action):
    """As the Kubernetes half will have it."""

    idempotent: ClassVar[bool] = True
    verbs: ClassVar[tuple[str, ...]] = ("set-memory-limit", "patch-memory-limit")

    was: int
    to: int


class DrainOnPaper(RaiseOnPaper):
    verbs: ClassVar[tuple[str, ...]] = ("force-delete",)


def said(name: str, action: Any, **options: Any):
    """What that guard says, of the restart's or of the page's."""
    guard = next(guard for guard in (*RUNBOOK.never, *RUNBOOK.guards_of("restart")) if guard.name == name)
    evidence = OomEvidence(target=target(), facts={}, looked_at=NOW, options=options)
    return guard.check(
        action, Facts(evidence=evidence, runbook="x", incident="i", now=NOW, mode=Mode.LIVE, options=options)
    )


RESTARTS: Any = RestartUnit(host=HOST, unit=SHOP, group="web")


def planned(oom) -> str:
    leaks(oom)
    incident = oom.take(name="oom_kill", target=target())
    assert oom.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def went_well(oom, incident) -> None:
    assert oom.run(incident, most=400).ending == "resolved"
    assert oom.box.asked == [("try-restart", SHOP)]


def was_refused(oom, incident, guard):
    ended = oom.run(incident, most=400)
    assert guard in oom.refusals(ended)
    assert (ended.phase, oom.box.asked) == (Phase.ESCALATE, [])
    return ended


def test_memory_pressure_oom__host_opt_in(oom):
    incident = planned(oom)
    oom.box.allows = "disk"
    was_refused(oom, incident, "host_opt_in")


def test_memory_pressure_oom__host_opt_in__allowed(oom):
    went_well(oom, planned(oom))


def test_memory_pressure_oom__restart_label(oom):
    incident = planned(oom)
    oom.box.services[SHOP].label = ""
    was_refused(oom, incident, "restart_label")


def test_memory_pressure_oom__restart_label__allowed(oom):
    went_well(oom, planned(oom))


def test_memory_pressure_oom__stateful_allowlist(oom):
    """Found out only while it waited: what it runs keeps data."""
    incident = planned(oom)
    oom.box.services[SHOP].command = "redis-server"
    was_refused(oom, incident, "stateful_allowlist")


def test_memory_pressure_oom__stateful_allowlist__allowed(oom):
    oom.box.services[SHOP].command = "redis-server"
    oom.options(BYTEPORT_STATEFUL_ALLOWLIST=[f"shop@{HOST}"])
    went_well(oom, planned(oom))


def test_an_empty_allowlist_is_nobody_and_not_everybody(oom):
    leaks(oom)
    oom.box.services[SHOP].command = "redis-server"
    incident = treat(oom)
    rests(oom, incident, "memory_leak")
    assert "is not on BYTEPORT_STATEFUL_ALLOWLIST" in incident.reason


def test_memory_pressure_oom__limit_bump_cap(oom):
    """At its cap there is nothing to compute; more than the cap would never pass."""
    held(oom, lambda ago: 600 + ago)
    asked(oom, lambda ago: 60 + ago / 10)
    oom.options(MAX_LIMIT_BUMP_MULTIPLIER=1.0)
    incident = treat(oom)
    rests(oom, incident, "traffic_spike")
    assert "1000 MiB is already the most that it may be given" in incident.reason
    assert not said("limit_bump_cap", RaiseOnPaper(was=100, to=201))
    assert not said("limit_bump_cap", RaiseOnPaper(was=100, to=201), MAX_LIMIT_BUMP_MULTIPLIER=3.0)


def test_memory_pressure_oom__limit_bump_cap__allowed(oom):
    assert said("limit_bump_cap", RaiseOnPaper(was=100, to=200))
    assert said("limit_bump_cap", RESTARTS)
    went_well(oom, planned(oom))


def test_memory_pressure_oom__server_dry_run(oom):
    assert not said("server_dry_run", RaiseOnPaper(was=100, to=150))
    held(oom, lambda ago: 600 + ago)
    asked(oom, lambda ago: 60 + ago / 10)
    incident = treat(oom)
    rests(oom, incident, "traffic_spike")  # nothing patches a limit yet


def test_memory_pressure_oom__server_dry_run__allowed(oom):
    assert said("server_dry_run", RESTARTS)
    went_well(oom, planned(oom))


@pytest.mark.parametrize("name", ["runtime_misconfig", "undersized_limit"])
def test_memory_pressure_oom__pr_only_classes(name):
    """A page whose proposal would restart is refused by the planner, whoever writes it."""
    rule = next(rule for rule in RUNBOOK.rules if rule.name == name)
    step = RESTART(host=HOST, unit=SHOP, group="web")
    rules = tuple(replace(one, then=lambda _e: Plan(steps=(step,))) if one is rule else one for one in RUNBOOK.rules)
    worse = replace(RUNBOOK, rules=rules)
    evidence = OomEvidence(target=target(), facts={}, looked_at=NOW)
    found: Any = type("Found", (), {"name": name, "disposition": "propose_pr", "because": ""})()
    with pytest.raises(BadRunbook):
        worse.plan(found, evidence)
    with pytest.raises(BadRunbook, match="forbidden in"):
        worse.plan(type("Found", (), {"name": name, "disposition": "act", "because": ""})(), evidence)


def test_memory_pressure_oom__pr_only_classes__allowed(oom):
    """In the class of leaks the same step may be."""
    went_well(oom, planned(oom))


def test_memory_pressure_oom__no_force_delete():
    verdict = said("no_force_delete", DrainOnPaper(was=1, to=1))
    assert (verdict.allowed, verdict.on_hit) == (False, "page")


def test_memory_pressure_oom__no_force_delete__allowed(oom):
    assert said("no_force_delete", RESTARTS)
    went_well(oom, planned(oom))


def test_memory_pressure_oom__pressed(oom):
    """It has let go of some by the time of acting."""
    incident = planned(oom)
    oom.box.services[SHOP].rss = 800 * MIB
    ended = oom.run(incident, most=400)
    assert (ended.phase, oom.box.asked) == (Phase.ESCALATE, [])
    assert "is_pressed did not come true" in ended.reason


def test_memory_pressure_oom__pressed__allowed(oom):
    went_well(oom, planned(oom))


def test_memory_pressure_oom__capture_allowed(oom):
    """No room for a dump."""
    incident = dumps(oom, dump_free=1 * MIB)
    assert (incident.ending, oom.manager.started) == ("resolved", [])


def test_memory_pressure_oom__capture_allowed__allowed(oom):
    assert dumps(oom).ending == "resolved"
    assert len(oom.manager.started) == 1


def test_memory_pressure_oom__service_restarts(oom):
    incident = planned(oom)
    oom.spend(f"service_restarts:{SUBJECT}", 3)
    was_refused(oom, incident, "service_restarts")


def test_memory_pressure_oom__service_restarts__allowed(oom):
    incident = planned(oom)
    oom.spend(f"service_restarts:{SUBJECT}", 2)
    went_well(oom, incident)


def test_memory_pressure_oom__restart_backoff(oom):
    """Restarted a moment ago: it waits, and goes on when the back-off is over or a person hears of it."""
    incident = planned(oom)
    for _ in range(60):
        oom.step(incident)
        if oom.texts(incident, "pause"):
            break
        if (wait := oom.wait_of(incident)) > 0:
            oom.minutes_pass((wait + 0.05) / 60)
    oom.spend(f"restart_backoff:{SUBJECT}", 1)
    ended = oom.run(incident, most=400)
    assert "restart_backoff" in oom.refusals(ended)


def test_memory_pressure_oom__restart_backoff__allowed(oom):
    incident = planned(oom)
    oom.spend("restart_backoff:service:mail.service@web1", 1)
    went_well(oom, incident)


@pytest.mark.parametrize(("used", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (4, 300), (50, 300)])
def test_the_back_off_doubles_up_to_five_minutes(used, seconds):
    assert backoff(used).total_seconds() == seconds


def test_memory_pressure_oom__dry_run(oom):
    leaks(oom)
    incident = treat(oom, Mode.DRY_RUN)
    assert (incident.ending, oom.box.asked) == ("rehearsed", [])


def test_memory_pressure_oom__dry_run__allowed(oom):
    went_well(oom, planned(oom))


def test_memory_pressure_oom__confidence_floor(oom):
    leaks(oom)
    oom.policy = replace(oom.policy, floor=90)
    incident = treat(oom)
    assert (incident.phase, oom.box.asked) == (Phase.ESCALATE, [])
    assert "below the floor" in incident.reason


def test_memory_pressure_oom__confidence_floor__allowed(oom):
    went_well(oom, planned(oom))
