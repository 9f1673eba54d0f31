"""The page on saturated CPUs: each guard with its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.cpu_saturation_evidence import OPT_OUT
from byteport.runbooks.linux.host_evidence import KEY
from tests.pages.saturated import HOST, SERVICE, SLUG, UNIT, process
from tests.pages.test_cpu_saturation import DEMOTED, RESTARTED, RESTORED


def was_refused(rack, incident, guard, done=()) -> None:
    ended = rack.run(incident, most=400)
    assert guard in rack.refusals(incident), ended.reason
    assert rack.host.done == list(done)


def went_well(rack, incident) -> None:
    rack.host.when_restarted = rack.host.calm
    assert rack.run(incident, most=400).ending == "resolved"
    assert rack.host.done[-3:] == [DEMOTED, RESTARTED, RESTORED]


def test_cpu_saturation__host_opt_in(rack):
    incident = rack.planned()
    rack.host.annotations = {KEY: "disk"}
    was_refused(rack, incident, "host_opt_in")
    assert rack.now(incident).phase is Phase.ESCALATE


def test_cpu_saturation__host_opt_in__allowed(rack):
    rack.host.annotations = {KEY: "disk,cpu"}
    went_well(rack, rack.planned())


def test_cpu_saturation__optout(rack):
    """It beats the opt-in, and nobody is bothered."""
    incident = rack.planned()
    rack.host.annotations = {KEY: "cpu", OPT_OUT: "true"}
    was_refused(rack, incident, "optout")
    assert rack.now(incident).ending == "suppressed"


def test_cpu_saturation__optout__allowed(rack):
    rack.host.annotations = {KEY: "cpu", OPT_OUT: "false"}
    went_well(rack, rack.planned())


def test_cpu_saturation__not_memory_driven(rack):
    incident = rack.planned()
    rack.host.swaps = (5, 5, 5, 0, 0)
    was_refused(rack, incident, "not_memory_driven")


def test_cpu_saturation__not_memory_driven__allowed(rack):
    rack.host.swaps = (0, 3, 0, 0, 9)
    went_well(rack, rack.planned())


def test_cpu_saturation__deny_list(rack):
    incident = rack.demoted()
    rack.host.change(UNIT, command="containerd")
    was_refused(rack, incident, "deny_list", [DEMOTED])


def test_cpu_saturation__deny_list__allowed(rack):
    rack.host.change(UNIT, command="java")
    went_well(rack, rack.planned())


def test_cpu_saturation__restart_label(rack):
    """Taken away after the demotion: it is not restarted."""
    incident = rack.demoted()
    rack.host.change(UNIT, label="", why="report.service.d can be written by others than root")
    was_refused(rack, incident, "restart_label", [DEMOTED])


def test_a_service_whose_label_is_taken_away_before_is_not_even_demoted(rack):
    incident = rack.planned()
    rack.host.change(UNIT, label="careful")
    ended = rack.run(incident, most=400)
    assert (ended.phase, rack.host.done) == (Phase.ESCALATE, [])
    assert "no_opted_in_consumer by now" in ended.reason


def test_cpu_saturation__restart_label__allowed(rack):
    went_well(rack, rack.planned())


def test_cpu_saturation__sustained(rack):
    incident = rack.planned()
    rack.host.busy = 85.0
    was_refused(rack, incident, "sustained")


def test_cpu_saturation__sustained__allowed(rack):
    rack.host.busy = 85.5
    rack.host.processes = [process(UNIT, 40.0)]
    went_well(rack, rack.planned())


def test_cpu_saturation__demotion_rate(rack):
    rack.spend(f"{SLUG}.demotion_rate:{SERVICE}", 3)
    was_refused(rack, rack.planned(), "demotion_rate")


def test_cpu_saturation__demotion_rate__allowed(rack):
    rack.spend(f"{SLUG}.demotion_rate:service:{UNIT}@web2", 3)
    went_well(rack, rack.planned())


def test_cpu_saturation__demote_first(rack):
    """Somebody has demoted it just so meanwhile: that is not ours, and no step before a restart."""
    incident = rack.planned()
    rack.host.after_a_look = lambda: rack.host.change(UNIT, cpu_weight=20)
    was_refused(rack, incident, "demote_first")
    assert rack.now(incident).phase is Phase.ESCALATE


def test_cpu_saturation__demote_first__allowed(rack):
    went_well(rack, rack.planned())


def test_cpu_saturation__still_the_matter(rack):
    """Another one takes the CPUs by now: a restart would only hurt."""
    incident = rack.demoted()
    rack.host.processes = [process("hog.service", 90.0), process(UNIT, 2.0)]
    was_refused(rack, incident, "still_the_matter", [DEMOTED])
    assert rack.now(incident).phase is Phase.ESCALATE


def test_cpu_saturation__still_the_matter__allowed(rack):
    went_well(rack, rack.demoted())


def test_cpu_saturation__service_restarts(rack):
    """Restarts of the service by any runbook count."""
    rack.spend(f"service_restarts:{SERVICE}", 3)
    was_refused(rack, rack.planned(), "service_restarts", [DEMOTED])


def test_cpu_saturation__service_restarts__allowed(rack):
    rack.spend(f"service_restarts:{SERVICE}", 2)
    went_well(rack, rack.planned())


def test_cpu_saturation__host_cooldown(rack):
    """The restart is left out, the demotion stays, and people hear that it was not enough."""
    rack.spend(f"host_cooldown:{HOST}", 1, timedelta(minutes=5))
    incident = rack.planned()
    was_refused(rack, incident, "host_cooldown", [DEMOTED])
    assert "CPU < 80%" in rack.now(incident).reason


def test_cpu_saturation__host_cooldown__allowed(rack):
    rack.spend("host_cooldown:web2", 1, timedelta(minutes=5))
    went_well(rack, rack.planned())


def test_cpu_saturation__dry_run(rack):
    incident = rack.treat(Mode.DRY_RUN)
    assert (incident.ending, rack.host.done) == ("rehearsed", [])
    told = rack.texts(incident.id, "rehearsal")
    assert told == [
        f"would on {HOST}: CPUWeight of {UNIT} default -> 20, until the next boot",
        f"would on {HOST}: systemctl try-restart {UNIT}",
    ]


def test_a_rehearsal_says_what_would_be_refused(rack):
    rack.host.annotations = {}
    incident = rack.treat(Mode.DRY_RUN)
    assert all(text.startswith("would be refused") for text in rack.texts(incident.id, "rehearsal"))


def test_cpu_saturation__dry_run__allowed(rack):
    went_well(rack, rack.planned())


def test_cpu_saturation__confidence_floor(rack):
    rack.policy = replace(rack.policy, floors={SLUG: 76})
    ended = rack.treat()
    assert (ended.phase, rack.host.done) == (Phase.ESCALATE, [])
    assert "below the floor 0.76" in ended.reason


def test_cpu_saturation__confidence_floor__allowed(rack):
    rack.policy = replace(rack.policy, floors={SLUG: 75})
    went_well(rack, rack.planned())
