"""Saturated CPUs through the whole engine: what each class does, and what it leaves alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.host_evidence import KEY
from tests.pages.saturated import HOST, UNIT, process

DEMOTED, RESTARTED, RESTORED = f"weight {UNIT} 20", f"try-restart {UNIT}", f"weight {UNIT} None"


def test_a_demotion_that_is_enough_is_taken_back_and_nothing_is_restarted(rack):
    rack.host.when_demoted = rack.host.calm
    incident = rack.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "opted_in_consumer")
    assert rack.host.done == [DEMOTED, RESTORED]
    assert rack.host.units[UNIT].cpu_weight is None


def test_a_demotion_that_is_not_enough_is_followed_by_one_restart_two_minutes_later(rack):
    rack.host.when_restarted = rack.host.calm
    incident = rack.treat()
    assert (incident.ending, rack.host.done) == ("resolved", [DEMOTED, RESTARTED, RESTORED])
    demoted, restarted = (one for one in rack.ledger.intents_of(incident.id) if one.direction == "do")
    assert (restarted.begun_at - demoted.begun_at).total_seconds() >= 120
    assert demoted.pre_state["cpu_weight"] is None
    assert restarted.pre_state["invocation"] == "a1"


def test_a_host_that_is_still_saturated_afterwards_goes_to_people(rack):
    incident = rack.treat()
    assert (incident.phase, incident.ending) == (Phase.ESCALATE, "")
    assert rack.host.done == [DEMOTED, RESTARTED]
    assert "CPU < 80%" in incident.reason
    rack.host.calm()
    closed = rack.closed(incident.id)
    assert closed.phase is Phase.CLOSED
    assert rack.host.done == [DEMOTED, RESTARTED, RESTORED]


def test_a_restart_that_fails_goes_to_people_with_what_the_service_manager_said(rack):
    rack.host.when_restarted = lambda: rack.host.change(UNIT, active="failed", sub="failed", result="exit-code")
    incident = rack.treat()
    assert incident.phase is Phase.ESCALATE
    assert "restart failed: it did not come up: report.service: failed (failed), exit-code" in incident.reason
    assert rack.host.done == [DEMOTED, RESTARTED]


def test_a_spike_is_ignored(rack):
    rack.host.dips = {4: 60.0}
    incident = rack.treat()
    assert (incident.ending, incident.diagnosis.name, rack.host.done) == ("recovered", "spike", [])
    assert rack.told() == []


def test_what_ends_within_the_ninety_seconds_is_ignored_too(rack):
    incident = rack.planned()
    rack.host.dips = {8: 84.0}
    ended = rack.run(incident, most=400)
    assert (ended.ending, rack.host.done) == ("suppressed", [])
    assert "sustained" in rack.refusals(incident)
    assert rack.told() == []


def test_two_looks_show_the_ninety_seconds(rack):
    rack.host.when_demoted = rack.host.calm
    incident = rack.treat()
    looks = [answer.fact["readings"] for answer in rack.ledger.answers(incident.id) if answer.field == "proc_stat"]
    assert [len(readings) for readings in looks] == [10, 10]
    assert looks[1][-1]["at"] - looks[0][0]["at"] >= 90
    assert {round(b["at"] - a["at"]) for one in looks for a, b in pairwise(one)} == {5}


def test_a_lull_between_the_two_looks_is_no_saturation(rack):
    incident = rack.planned()
    rack.host.passes(60, busy=20)
    assert rack.run(incident, most=400).ending == "suppressed"
    assert rack.host.done == []


def test_another_boot_between_the_two_looks_is_no_saturation(rack):
    incident = rack.planned()
    rack.host.up, rack.host.total, rack.host.idle = 30.0, 6000, 100
    assert rack.run(incident, most=400).ending == "suppressed"
    assert rack.host.done == []


def test_load_that_comes_of_memory_is_handed_over_and_never_acted_on(rack):
    rack.host.swaps = (120, 80, 0, 300, 10)
    incident = rack.treat()
    assert (incident.diagnosis.name, rack.host.done) == ("memory_driven", [])
    assert incident.phase is Phase.ESCALATE  # nobody who takes memory_pressure is enabled here
    assert "memory_pressure" in incident.reason
    (message,) = rack.told()
    assert "higher limit" in message.bundle["suggested_fix"]
    assert "a lower limit would only have it killed" in message.bundle["suggested_fix"]


def test_cpus_that_the_hypervisor_gives_to_others_are_nobodys_fault_here(rack):
    rack.host.steal = 45.0
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name, rack.host.done) == (
        Phase.ESCALATE, "stolen_by_the_hypervisor", [],
    )  # fmt: skip
    assert "steal 45 %" in incident.reason


def test_without_a_labelled_consumer_people_are_told(rack):
    rack.host.units.clear()
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name, rack.host.done) == (Phase.ESCALATE, "no_opted_in_consumer", [])
    assert "80 % report, pid 4242, app, report.service" in incident.reason


@pytest.mark.parametrize(
    "name", ["byteport-worker", "ssh", "sshd@1", "docker", "containerd", "kubelet", "systemd-journald"]
)
def test_what_must_never_be_touched_is_not_whatever_its_label_says(rack, name):
    rack.host.put(f"{name}.service", label="safe")
    rack.host.processes = [process(f"{name}.service", 90.0)]
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name, rack.host.done) == (Phase.ESCALATE, "no_opted_in_consumer", [])


def test_a_container_runtime_under_another_name_is_not_touched_either(rack):
    rack.host.processes = [process(UNIT, 90.0, name="dockerd")]
    incident = rack.treat()
    assert (incident.diagnosis.name, rack.host.done) == ("no_opted_in_consumer", [])


@pytest.mark.parametrize(("label", "ending"), [("safe", "resolved"), ("", "")])
def test_a_database_is_treated_only_where_it_is_labelled(rack, label, ending):
    rack.host.put("postgresql@15-main.service", label=label)
    rack.host.processes = [process("postgresql@15-main.service", 90.0)]
    rack.host.when_restarted = rack.host.calm
    assert rack.treat().ending == ending
    assert bool(rack.host.done) is bool(label)


def crowd(*names: str) -> list:
    """Thirty small workers of one service, behind five heavier processes of nobody's."""
    loose = [process("", 4.0, name=f"job{n}", pid=100 + n) for n in range(5)]
    return loose + [process(UNIT, 2.5, name=names[n % len(names)], pid=200 + n) for n in range(30)]


def test_many_small_workers_are_one_consumer(rack):
    rack.host.processes = crowd("worker")
    rack.host.when_restarted = rack.host.calm
    incident = rack.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "opted_in_consumer")
    assert rack.host.done


def test_many_small_workers_are_left_alone_where_one_of_them_must_never_be_touched(rack):
    rack.host.processes = crowd("worker", "worker", "dockerd")
    incident = rack.treat()
    assert (incident.diagnosis.name, rack.host.done) == ("no_opted_in_consumer", [])


def test_a_labelled_service_that_is_not_the_matter_is_left_alone(rack):
    rack.host.processes = [process("hog.service", 83.0), process(UNIT, 14.0)]
    incident = rack.treat()
    assert (incident.diagnosis.name, rack.host.done) == ("no_opted_in_consumer", [])


def test_of_two_labelled_services_the_heavier_one_is_treated(rack):
    rack.host.put("other.service", label="safe")
    rack.host.processes = [process("other.service", 60.0), process(UNIT, 30.0)]
    rack.host.when_demoted = rack.host.calm
    rack.treat()
    assert rack.host.done == ["weight other.service 20", "weight other.service None"]


def test_the_workers_of_a_service_count_together(rack):
    rack.host.processes = [process(UNIT, 16.0, pid=n) for n in range(1, 6)]
    rack.host.when_demoted = rack.host.calm
    assert rack.treat().ending == "resolved"


def test_a_pod_is_left_to_kubernetes_with_a_proposal(rack):
    rack.host.processes = [process("", 90.0, name="java", pod=True, cgroup="/kubepods.slice/x/cri-containerd-1.scope")]
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name, rack.host.done) == (Phase.ESCALATE, "pod_consumer", [])
    (message,) = rack.told()
    assert "HorizontalPodAutoscaler" in message.bundle["suggested_fix"]
    assert "kubectl get pods -A -l 'byteport.restart=safe' -o wide" in message.bundle["manual_commands"]


@pytest.mark.parametrize("weight", [20, 300])
def test_a_service_with_a_weight_of_its_own_is_left_to_people(rack, weight):
    rack.host.change(UNIT, cpu_weight=weight)
    incident = rack.treat()
    assert (incident.phase, rack.host.done) == (Phase.ESCALATE, [])
    assert f"a CPUWeight of its own ({weight})" in incident.reason


@pytest.mark.parametrize("silent", ["cpu", "top", "pressure", "labelled"])
def test_what_cannot_be_told_is_for_people(rack, silent):
    rack.host.silent = {silent}
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name, rack.host.done) == (Phase.ESCALATE, "inconclusive", [])


def test_a_host_out_of_reach_when_it_is_to_be_restarted_is_waited_for_and_then_for_people(rack):
    incident = rack.demoted()
    rack.host.silent = {"unit", "restart"}
    ended = rack.run(incident, most=400)
    assert (ended.phase, rack.host.done) == (Phase.ESCALATE, [DEMOTED])


def test_a_weight_that_somebody_brings_back_meanwhile_is_a_veto(rack):
    incident = rack.demoted()
    rack.host.change(UNIT, cpu_weight=None)
    ended = rack.run(incident, most=400)
    assert (ended.phase, rack.host.done) == (Phase.ESCALATE, [DEMOTED])
    assert "human_veto" in rack.refusals(incident)


def test_a_boot_in_between_is_nobodys_veto(rack):
    incident = rack.demoted()
    rack.host.change(UNIT, cpu_weight=None, boot="c", invocation="n1")
    rack.run(incident, most=400)
    assert "human_veto" not in rack.refusals(incident)


def test_an_approved_plan_looks_at_everything_again(rack):
    incident = rack.take(Mode.APPROVE)
    assert rack.run(incident).word == "awaiting_approval"
    rack.minutes_pass(10)
    rack.ledger.command(incident, "approve", "ada", "go on")
    rack.host.when_demoted = rack.host.calm
    assert rack.run(incident, most=400).ending == "resolved"
    assert rack.host.done == [DEMOTED, RESTORED]


def test_a_host_whose_people_allow_other_things_is_only_told_of(rack):
    rack.host.annotations = {KEY: "disk, memory"}
    incident = rack.treat()
    assert (incident.phase, rack.host.done) == (Phase.ESCALATE, [])


def test_a_host_that_is_not_configured_is_told_of(rack):
    rack.name = "elsewhere"
    incident = rack.treat()
    assert (incident.phase, incident.diagnosis.name) == (Phase.ESCALATE, "inconclusive")
    assert "none of the configuration's hosts" in incident.reason


def test_thresholds_are_the_configurations(rack):
    rack.options(cpu_threshold_pct=98)
    assert rack.treat().diagnosis.name == "spike"
    rack.options(cpu_threshold_pct=90, cpu_recover_pct=96)
    rack.host.when_demoted = lambda: setattr(rack.host, "busy", 95.0)
    rack.minutes_pass(30)
    assert rack.treat().ending == "resolved"
    assert HOST in rack.ledger.listing()[0].target
