"""The page that recovers memory by a restart: each guard with its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from byteport.actions.units import RestartUnit
from byteport.grammar.guard import Facts
from byteport.model.facts.memory import MIB, Meminfo
from byteport.model.facts.services import Runtime
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.memory_auto_recover_evidence import RecoverEvidence
from byteport.runbooks.linux.memory_pressure_auto_recover import RUNBOOK
from tests.pages.shelf import HOST, SHOP
from tests.pages.test_memory_auto_recover import service, treat

SUBJECT = f"service:{SHOP}@{HOST}"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def planned(rack) -> str:
    incident = rack.take(target=service())
    assert rack.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def went_well(rack, incident) -> None:
    assert rack.run(incident, most=400).ending == "resolved"
    assert rack.box.asked == [("try-restart", SHOP)]


def was_refused(rack, incident, guard):
    rack.minutes_pass(1)
    ended = rack.run(incident, most=400)
    assert guard in rack.refusals(ended)
    assert (ended.phase, rack.box.asked) == (Phase.ESCALATE, [])
    return ended


def said(name: str, acted_at: datetime | None = None, **facts: Any):
    """What that guard says of a restart, on these facts alone."""
    guard = next(guard for guard in RUNBOOK.guards_of("restart") if guard.name == name)
    action: Any = RestartUnit(host=HOST, unit=SHOP, group="web")
    evidence = RecoverEvidence(target=service(), facts=facts, looked_at=NOW, acted_at=acted_at)
    return guard.check(action, Facts(evidence=evidence, runbook=RUNBOOK.name, incident="i", now=NOW, mode=Mode.LIVE))


def test_memory_pressure_auto_recover__host_opt_in(recovering):
    incident = planned(recovering)
    recovering.box.allows = ""
    was_refused(recovering, incident, "host_opt_in")


def test_memory_pressure_auto_recover__host_opt_in__allowed(recovering):
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__unknown_env(recovering):
    """No service of that name, and no other way to restart it."""
    incident = treat(recovering, target=service(f"nowhere@{HOST}"))
    assert (incident.diagnosis.name, recovering.box.asked) == ("not_on_a_host", [])
    assert "no way to restart it is known: web1 has no system service nowhere.service" in incident.reason
    assert not said("unknown_env", runtime_env=Runtime(platform="unknown"))


def test_memory_pressure_auto_recover__unknown_env__allowed(recovering):
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__render_credentials(recovering):
    incident = treat(recovering, target=service(platform="render"))
    assert (incident.phase, recovering.box.asked) == (Phase.ESCALATE, [])
    assert "renderServiceId is not set" in incident.reason
    assert not said("render_credentials", runtime_env=Runtime(platform="render"))


def test_memory_pressure_auto_recover__render_credentials__allowed(recovering):
    assert said("render_credentials", runtime_env=Runtime(platform="render", service="srv-1"))
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__managed(recovering):
    incident = planned(recovering)
    recovering.box.services[SHOP].label = ""
    was_refused(recovering, incident, "managed")


def test_memory_pressure_auto_recover__managed__allowed(recovering):
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__deploy_hand_off(recovering):
    """Released while it waited."""
    incident = planned(recovering)
    recovering.box.released = 20.0
    was_refused(recovering, incident, "deploy_hand_off")


def test_memory_pressure_auto_recover__deploy_hand_off__allowed(recovering):
    recovering.box.released = 3660.0
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__no_loop(recovering):
    incident = planned(recovering)
    shop = recovering.box.services[SHOP]
    shop.restarts, shop.age = 3, 20.0
    was_refused(recovering, incident, "no_loop")


def test_memory_pressure_auto_recover__no_loop__allowed(recovering):
    shop = recovering.box.services[SHOP]
    shop.restarts, shop.age = 1, 20.0
    recovering.box.on_restart = lambda one: setattr(one, "restarts", 0)
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__recovery_threshold(recovering):
    """Still above after the restart: a person, and no second try."""
    recovering.box.services[SHOP].starts_with = 5100 * MIB
    incident = treat(recovering)
    assert (incident.phase, len(recovering.box.asked)) == (Phase.ESCALATE, 1)
    full = Meminfo(total=100, available=20)
    assert not said("recovery_threshold", acted_at=NOW - timedelta(seconds=60), proc_meminfo=full)


def test_memory_pressure_auto_recover__recovery_threshold__allowed(recovering):
    assert said("recovery_threshold", proc_meminfo=Meminfo(total=100, available=1))
    assert said("recovery_threshold", acted_at=NOW, proc_meminfo=Meminfo(total=100, available=21))
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__crash_loop_guard(recovering):
    """The other page on memory has restarted it twice."""
    incident = planned(recovering)
    recovering.spend(f"crash_loop_guard:{SUBJECT}", 2, timedelta(minutes=30))
    assert was_refused(recovering, incident, "crash_loop_guard").reason.startswith("crash_loop_guard: ")


def test_memory_pressure_auto_recover__crash_loop_guard__allowed(recovering):
    incident = planned(recovering)
    recovering.spend(f"crash_loop_guard:{SUBJECT}", 1, timedelta(minutes=30))
    went_well(recovering, incident)


def test_fewer_restarts_in_a_longer_window_may_be_asked_for(recovering):
    recovering.options(crashLoopMaxRestarts=1, crashLoopWindowMs=7_200_000)
    assert treat(recovering).ending == "resolved"
    recovering.box.services[SHOP].rss = 5200 * MIB
    recovering.minutes_pass(50)
    incident = treat(recovering)
    assert (incident.diagnosis.name, len(recovering.box.asked)) == ("crash_loop", 1)


def test_memory_pressure_auto_recover__service_restarts(recovering):
    incident = planned(recovering)
    recovering.spend(f"service_restarts:{SUBJECT}", 3)
    was_refused(recovering, incident, "service_restarts")


def test_memory_pressure_auto_recover__service_restarts__allowed(recovering):
    incident = planned(recovering)
    recovering.spend(f"service_restarts:{SUBJECT}", 2)
    went_well(recovering, incident)


def test_memory_pressure_auto_recover__dry_run(recovering):
    incident = treat(recovering, Mode.DRY_RUN)
    assert (incident.ending, recovering.box.asked) == ("rehearsed", [])


def test_memory_pressure_auto_recover__dry_run__allowed(recovering):
    went_well(recovering, planned(recovering))


def test_memory_pressure_auto_recover__confidence_floor(recovering):
    recovering.policy = replace(recovering.policy, floor=80)
    incident = treat(recovering)
    assert (incident.phase, recovering.box.asked) == (Phase.ESCALATE, [])
    assert "below the floor" in incident.reason


def test_memory_pressure_auto_recover__confidence_floor__allowed(recovering):
    went_well(recovering, planned(recovering))
