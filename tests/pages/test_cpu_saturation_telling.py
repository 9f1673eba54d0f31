"""Saturated CPUs, told: what the contract lists, once an hour for a host, and again the third time in a day."""

from __future__ import annotations

import pytest

from byteport.model.facts.processes import ProcessUse
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from byteport.runbooks.linux.cpu_saturation import RUNBOOK
from tests.pages.saturated import CHANNELS, HOST, UNIT, process


def test_people_are_told_what_the_contract_lists(rack):
    incident = rack.treat()
    (message,) = rack.told()
    assert message.fields == {
        "host": HOST, "avg_cpu": "97 %", "top_process": f"80 % report, pid 4242, app, {UNIT}",
        "action": f"demote: done (CPUWeight of {UNIT} default -> 20); restart: done (try-restart of {UNIT} on {HOST})",
        "link": f"/incidents/{incident.id}",
    }  # fmt: skip
    bundle = message.bundle
    assert set(RUNBOOK.escalate.content) <= bundle.keys()
    assert bundle["top_cpu_consumers"][0] == f"80 % report, pid 4242, app, {UNIT}"
    assert bundle["vmstat_summary"].startswith("run queue 7 on 2 CPUs, 0 blocked; swap in 0, out 0 pages/s; load 7 5 2")
    assert bundle["priority_changes"] == [f"demote: done (CPUWeight of {UNIT} default -> 20)"]
    assert bundle["restart_outcome"] == f"restart: done (try-restart of {UNIT} on {HOST})"
    assert len(bundle["cpu"]) == 9
    assert [line.partition(":")[0] for line in bundle["before_and_after"][:2]] == ["before", "now"]
    assert {channel for channel in CHANNELS if rack.told(channel)} == set(CHANNELS)


def test_commands_carry_real_names_and_none_protects_the_hog(rack):
    rack.host.units.clear()
    rack.treat()
    commands = rack.told()[0].bundle["manual_commands"]
    assert f"ssh {HOST} 'top -b -d 5 -n 2 -o %CPU | head -40'" in commands
    assert f"ssh {HOST} 'vmstat 1 5'" in commands
    assert f"ssh {HOST} 'sudo systemctl set-property --runtime {UNIT} CPUWeight=20'" in commands
    assert f"ssh {HOST} 'sudo systemctl restart {UNIT}'" in commands
    assert not any("oom_score_adj" in command for command in commands)


def test_no_command_to_restart_what_must_never_be_touched(rack):
    rack.host.processes = [process("containerd.service", 90.0)]
    rack.treat()
    assert not any("restart" in command for command in rack.told()[0].bundle["manual_commands"])


def test_a_process_of_nobodys_service_may_be_reniced_by_a_person(rack):
    rack.host.processes = [process("", 90.0, name="xz", pid=777, cgroup="/user.slice/user-1000.slice/session-1.scope")]
    rack.treat()
    assert f"ssh {HOST} 'sudo renice -n 10 -p 777'" in rack.told()[0].bundle["manual_commands"]


@pytest.mark.parametrize("name", ["$(reboot)", "a'; reboot; '", "x (y) z", "--help", "?"])
def test_what_a_process_calls_itself_becomes_no_part_of_a_command(rack, name):
    rack.host.processes = [ProcessUse(pid=7, percent=95.0, name=name, command=name, user=name)]
    incident = rack.treat()
    assert incident.phase is Phase.ESCALATE
    assert not any(name in command for command in rack.told()[0].bundle["manual_commands"] if name != "?")


def saturated_again(rack, minutes: float):
    """Signalled anew after the incident was closed."""
    for line in rack.ledger.listing():
        if line.word == "escalated":
            rack.closed(line.id)
    rack.minutes_pass(minutes)
    return rack.treat()


def test_a_host_is_told_of_once_an_hour_and_again_the_third_time(rack):
    assert (RUNBOOK.escalate.once_per.total_seconds(), RUNBOOK.escalate.per, RUNBOOK.escalate.on_duplicate) == (
        3600, ("host",), "comment",
    )  # fmt: skip
    rack.host.units.clear()
    rack.treat()
    saturated_again(rack, 15)
    keys = [one.dedup_key for one in rack.told() if one.kind == "escalation"]
    assert len(set(keys)) == 1
    saturated_again(rack, 15)
    told = [one for one in rack.told() if one.kind == "escalation"]
    assert "repeated" in told[-1].dedup_key
    assert len(told[-1].bundle["saturated_before_in_24h"]) == 2


def test_the_third_time_is_told_of_also_where_it_was_treated(rack):
    rack.host.when_demoted = rack.host.calm
    for _ in range(2):
        assert rack.treat().ending == "resolved"
        rack.minutes_pass(20)
        rack.host.busy, rack.host.processes = 97.0, [process(UNIT, 80.0)]
    assert [one for one in rack.told("github_issue") if one.kind == "escalation"] == []
    assert rack.treat().ending == "resolved"
    (issue,) = [one for one in rack.told("github_issue") if one.kind == "escalation"]
    assert "saturated again and again" in issue.text


def test_what_was_a_spike_does_not_count_as_saturated(rack):
    for _ in range(3):
        rack.host.dips = {2: 50.0}
        assert rack.treat().ending == "recovered"
        rack.minutes_pass(20)
    rack.host.dips = {}
    rack.host.when_demoted = rack.host.calm
    assert rack.treat().ending == "resolved"
    assert [one for one in rack.told() if one.kind == "escalation"] == []


def test_a_rehearsal_tells_nobody_that_something_was_done(rack):
    rack.treat(Mode.DRY_RUN)
    assert rack.told() == []


def give_back(unit: str = UNIT) -> str:
    return f"ssh {HOST} 'sudo systemctl set-property --runtime {unit} CPUWeight='"


def test_a_demotion_that_stands_is_told_with_the_command_that_ends_it(rack):
    rack.treat()
    assert give_back() in rack.told()[0].bundle["manual_commands"]


def test_what_was_not_demoted_is_not_given_back(rack):
    rack.host.units.clear()
    rack.treat()
    assert not any("CPUWeight='" in command for command in rack.told()[0].bundle["manual_commands"])


def test_a_demotion_that_is_not_given_back_within_the_hour_is_told_again(rack):
    incident = rack.treat()
    for _ in range(8):
        rack.minutes_pass(10)
        rack.run(incident.id)
    assert rack.host.units[UNIT].cpu_weight == 20
    last = rack.told()[-1]
    assert "undo of demote" in last.text
    assert give_back() in last.bundle["manual_commands"]
