"""The page on a host's memory: each guard with its twin."""

from __future__ import annotations

from datetime import timedelta

from byteport.model.facts.memory import GIB, MIB
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.shelf import HOST, MAIL, SHOP, UNREACHABLE

SUBJECT = f"service:{SHOP}@{HOST}"


def planned(shelf) -> str:
    """A restart up to its frozen plan, nothing done yet."""
    shelf.leaks()
    incident = shelf.take()
    assert shelf.run(incident, until=Phase.ACT, deliver=False).plan.steps
    return incident


def went_well(shelf, incident) -> None:
    assert shelf.run(incident, most=400).ending == "resolved"
    assert shelf.box.asked == [("try-restart", SHOP)]


def was_refused(shelf, incident, guard):
    ended = shelf.run(incident, most=400)
    assert guard in shelf.refusals(ended)
    assert (ended.phase, shelf.box.asked) == (Phase.ESCALATE, [])
    return ended


def test_memory_pressure__host_opt_in(shelf):
    incident = planned(shelf)
    shelf.box.allows = "cpu, disk"
    was_refused(shelf, incident, "host_opt_in")


def test_memory_pressure__host_opt_in__allowed(shelf):
    shelf.box.allows = "cpu, memory"
    went_well(shelf, planned(shelf))


def test_memory_pressure__restart_label(shelf):
    """Taken away while it waited."""
    incident = planned(shelf)
    shelf.box.services[SHOP].label = "never"
    was_refused(shelf, incident, "restart_label")


def test_memory_pressure__restart_label__allowed(shelf):
    went_well(shelf, planned(shelf))


def test_memory_pressure__deny_list(shelf):
    incident = planned(shelf)
    shelf.box.services[SHOP].command = "dockerd"
    was_refused(shelf, incident, "deny_list")


def test_memory_pressure__deny_list__allowed(shelf):
    went_well(shelf, planned(shelf))


def test_memory_pressure__exhausted(shelf):
    """It waits for less than before, and is not past 95 %, by the time of acting."""
    incident = planned(shelf)
    shelf.box.others -= 300 * MIB
    shelf.box.psi = shelf.box.psi.with_(some_avg60=5)
    ended = shelf.run(incident, most=400)
    assert (ended.phase, shelf.box.asked) == (Phase.ESCALATE, [])
    assert "leaking_service is no longer so" in ended.reason


def test_memory_pressure__exhausted__allowed(shelf):
    """Once the restart has begun memory comes back: that is what it is for."""
    went_well(shelf, planned(shelf))


def test_memory_pressure__leaking(shelf):
    """Another one has grown more by the time of acting: the plan is for the shop, and the shop is left alone."""
    incident = planned(shelf)
    shelf.box.services[MAIL].rss += 3 * GIB
    was_refused(shelf, incident, "leaking")


def test_memory_pressure__leaking__allowed(shelf):
    went_well(shelf, planned(shelf))


def test_memory_pressure__pre_restart_audit(shelf):
    """What cannot be captured keeps nothing from being done, and is said to be missing."""
    incident = planned(shelf)
    shelf.box.broken["audit"] = UNREACHABLE
    ended = shelf.run(incident, most=400)
    assert ended.ending == "resolved"
    assert "not captured, going on without it: unreachable" in shelf.heard(ended, "pre_restart_audit")[0]


def test_memory_pressure__pre_restart_audit__allowed(shelf):
    incident = planned(shelf)
    went_well(shelf, incident)
    told = shelf.heard(shelf.now(incident), "pre_restart_audit")
    assert told[0] == "1 processes, 40 open files and 7 sockets"


def test_memory_pressure__recovery_timeout(shelf):
    """Two minutes, and no second restart."""
    shelf.leaks().starts_with = 2300 * MIB
    incident = shelf.take()
    ended = shelf.run(incident, most=400)
    assert (ended.phase, len(shelf.box.asked)) == (Phase.ESCALATE, 1)
    assert ended.escalated_at - ended.acted_at < timedelta(minutes=3)


def test_memory_pressure__recovery_timeout__allowed(shelf):
    """It takes a minute and a half until memory has come back."""
    shop = shelf.leaks()
    shop.starts_with = 2300 * MIB
    incident = shelf.take()
    verifying = shelf.run(incident, until=Phase.VERIFY, most=200, deliver=False)
    assert verifying.phase is Phase.VERIFY
    for _ in range(60):
        shelf.step(incident)
        now = shelf.now(incident)
        if now.phase is not Phase.VERIFY:
            break
        if (wait := shelf.wait_of(incident)) > 0:
            shelf.minutes_pass((wait + 0.05) / 60)
        if len([r for r in shelf.texts(incident, "check") if "memory <" in r]) >= 3:
            shop.rss = 100 * MIB
    assert shelf.run(incident).ending == "resolved"


def test_memory_pressure__crash_loop_guard(shelf):
    """Two restarts in half an hour, by whichever runbook on memory: people hear of a loop."""
    incident = planned(shelf)
    shelf.spend(f"crash_loop_guard:{SUBJECT}", 2, timedelta(minutes=30))
    ended = was_refused(shelf, incident, "crash_loop_guard")
    assert ended.reason.startswith("crash_loop_guard: ")


def test_memory_pressure__crash_loop_guard__allowed(shelf):
    incident = planned(shelf)
    shelf.spend(f"crash_loop_guard:{SUBJECT}", 1, timedelta(minutes=30))
    went_well(shelf, incident)


def test_memory_pressure__service_restarts(shelf):
    incident = planned(shelf)
    shelf.spend(f"service_restarts:{SUBJECT}", 3)
    was_refused(shelf, incident, "service_restarts")


def test_memory_pressure__service_restarts__allowed(shelf):
    incident = planned(shelf)
    shelf.spend(f"service_restarts:{SUBJECT}", 2)
    shelf.spend(f"service_restarts:service:{MAIL}@{HOST}", 3)
    went_well(shelf, incident)


def test_memory_pressure__host_cooldown(shelf):
    """Another runbook has just acted on that host."""
    incident = planned(shelf)
    shelf.spend(f"host_cooldown:{HOST}", 1, timedelta(minutes=5))
    ended = was_refused(shelf, incident, "host_cooldown")
    assert "no step was carried out" in ended.reason


def test_memory_pressure__host_cooldown__allowed(shelf):
    incident = planned(shelf)
    shelf.spend("host_cooldown:web2", 1, timedelta(minutes=5))
    went_well(shelf, incident)


def test_memory_pressure__dry_run(shelf):
    shelf.leaks()
    incident = shelf.treat(Mode.DRY_RUN)
    assert (incident.ending, shelf.box.asked) == ("rehearsed", [])


def test_memory_pressure__dry_run__allowed(shelf):
    went_well(shelf, planned(shelf))


def test_memory_pressure__confidence_floor(shelf):
    from dataclasses import replace

    shelf.leaks()
    shelf.policy = replace(shelf.policy, floor=80)
    incident = shelf.treat()
    assert (incident.phase, shelf.box.asked) == (Phase.ESCALATE, [])
    assert "below the floor" in incident.reason


def test_memory_pressure__confidence_floor__allowed(shelf):
    went_well(shelf, planned(shelf))
