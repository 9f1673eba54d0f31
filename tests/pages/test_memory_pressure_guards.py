"""The page on a host's memory: each guard with its twin."""

from __future__ import annotations

from datetime import timedelta

from byteport.model.facts.memory import GIB, MIB
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.rack import HOST, MAIL, SHOP, UNREACHABLE

SUBJECT = f"service:{SHOP}@{HOST}"


def planned(rack) -> str:
    """A restart up to its frozen plan, nothing done yet."""
    rack.leaks()
    incident = rack.take()
    assert rack.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def went_well(rack, incident) -> None:
    assert rack.run(incident, most=400).ending == "resolved"
    assert rack.box.asked == [("try-restart", SHOP)]


def was_refused(rack, incident, guard):
    ended = rack.run(incident, most=400)
    assert guard in rack.refusals(ended)
    assert (ended.phase, rack.box.asked) == (Phase.ESCALATE, [])
    return ended


def test_memory_pressure__host_opt_in(rack):
    incident = planned(rack)
    rack.box.allows = "cpu, disk"
    was_refused(rack, incident, "host_opt_in")


def test_memory_pressure__host_opt_in__allowed(rack):
    rack.box.allows = "cpu, memory"
    went_well(rack, planned(rack))


def test_memory_pressure__restart_label(rack):
    """Taken away while it waited."""
    incident = planned(rack)
    rack.box.services[SHOP].label = "never"
    was_refused(rack, incident, "restart_label")


def test_memory_pressure__restart_label__allowed(rack):
    went_well(rack, planned(rack))


def test_memory_pressure__deny_list(rack):
    incident = planned(rack)
    rack.box.services[SHOP].command = "dockerd"
    was_refused(rack, incident, "deny_list")


def test_memory_pressure__deny_list__allowed(rack):
    went_well(rack, planned(rack))


def test_memory_pressure__exhausted(rack):
    """It waits for less than before, and is not past 95 %, by the time of acting."""
    incident = planned(rack)
    rack.box.others -= 300 * MIB
    rack.box.psi = rack.box.psi.with_(some_avg60=5)
    ended = rack.run(incident, most=400)
    assert (ended.phase, rack.box.asked) == (Phase.ESCALATE, [])
    assert "leaking_service is no longer so" in ended.reason


def test_memory_pressure__exhausted__allowed(rack):
    """Once the restart has begun memory comes back: that is what it is for."""
    went_well(rack, planned(rack))


def test_memory_pressure__leaking(rack):
    """Another one has grown more by the time of acting: the plan is for the shop, and the shop is left alone."""
    incident = planned(rack)
    rack.box.services[MAIL].rss += 3 * GIB
    was_refused(rack, incident, "leaking")


def test_memory_pressure__leaking__allowed(rack):
    went_well(rack, planned(rack))


def test_memory_pressure__pre_restart_audit(rack):
    """What cannot be captured keeps nothing from being done, and is said to be missing."""
    incident = planned(rack)
    rack.box.broken["audit"] = UNREACHABLE
    ended = rack.run(incident, most=400)
    assert ended.ending == "resolved"
    assert "not captured, going on without it: unreachable" in rack.heard(ended, "pre_restart_audit")[0]


def test_memory_pressure__pre_restart_audit__allowed(rack):
    incident = planned(rack)
    went_well(rack, incident)
    told = rack.heard(rack.now(incident), "pre_restart_audit")
    assert told[0] == "1 processes, 40 open files and 7 sockets"


def test_memory_pressure__recovery_timeout(rack):
    """Two minutes, and no second restart."""
    rack.leaks().starts_with = 2300 * MIB
    incident = rack.take()
    ended = rack.run(incident, most=400)
    assert (ended.phase, len(rack.box.asked)) == (Phase.ESCALATE, 1)
    assert ended.escalated_at - ended.acted_at < timedelta(minutes=3)


def test_memory_pressure__recovery_timeout__allowed(rack):
    """It takes a minute and a half until memory has come back."""
    shop = rack.leaks()
    shop.starts_with = 2300 * MIB
    incident = rack.take()
    verifying = rack.run(incident, until=Phase.VERIFY, most=200, deliver=False)
    assert verifying.phase is Phase.VERIFY
    for _ in range(60):
        rack.step(incident)
        now = rack.now(incident)
        if now.phase is not Phase.VERIFY:
            break
        if (wait := rack.wait_of(incident)) > 0:
            rack.minutes_pass((wait + 0.05) / 60)
        if len([r for r in rack.texts(incident, "check") if "memory <" in r]) >= 3:
            shop.rss = 100 * MIB
    assert rack.run(incident).ending == "resolved"


def test_memory_pressure__crash_loop_guard(rack):
    """Two restarts in half an hour, by whichever runbook on memory: people hear of a loop."""
    incident = planned(rack)
    rack.spend(f"crash_loop_guard:{SUBJECT}", 2, timedelta(minutes=30))
    ended = was_refused(rack, incident, "crash_loop_guard")
    assert ended.reason.startswith("crash_loop_guard: ")


def test_memory_pressure__crash_loop_guard__allowed(rack):
    incident = planned(rack)
    rack.spend(f"crash_loop_guard:{SUBJECT}", 1, timedelta(minutes=30))
    went_well(rack, incident)


def test_memory_pressure__service_restarts(rack):
    incident = planned(rack)
    rack.spend(f"service_restarts:{SUBJECT}", 3)
    was_refused(rack, incident, "service_restarts")


def test_memory_pressure__service_restarts__allowed(rack):
    incident = planned(rack)
    rack.spend(f"service_restarts:{SUBJECT}", 2)
    rack.spend(f"service_restarts:service:{MAIL}@{HOST}", 3)
    went_well(rack, incident)


def test_memory_pressure__host_cooldown(rack):
    """Another runbook has just acted on that host."""
    incident = planned(rack)
    rack.spend(f"host_cooldown:{HOST}", 1, timedelta(minutes=5))
    ended = was_refused(rack, incident, "host_cooldown")
    assert "no step was carried out" in ended.reason


def test_memory_pressure__host_cooldown__allowed(rack):
    incident = planned(rack)
    rack.spend("host_cooldown:web2", 1, timedelta(minutes=5))
    went_well(rack, incident)


def test_memory_pressure__dry_run(rack):
    rack.leaks()
    incident = rack.treat(Mode.DRY_RUN)
    assert (incident.ending, rack.box.asked) == ("rehearsed", [])


def test_memory_pressure__dry_run__allowed(rack):
    went_well(rack, planned(rack))


def test_memory_pressure__confidence_floor(rack):
    from dataclasses import replace

    rack.leaks()
    rack.policy = replace(rack.policy, floor=80)
    incident = rack.treat()
    assert (incident.phase, rack.box.asked) == (Phase.ESCALATE, [])
    assert "below the floor" in incident.reason


def test_memory_pressure__confidence_floor__allowed(rack):
    went_well(rack, planned(rack))
