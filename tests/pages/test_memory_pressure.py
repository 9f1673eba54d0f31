"""The page on a host's memory, on real stores before a host that behaves: what it restarts, and when it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.model.facts.memory import GIB, MIB, Stall
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.rack import HOST, MAIL, SHOP, UNREACHABLE


def rests(rack, incident, name) -> None:
    """With a person, and nothing was done."""
    assert (incident.phase, incident.diagnosis.name, rack.box.asked) == (Phase.ESCALATE, name, [])


def test_the_service_that_leaks_is_restarted_and_memory_comes_back(rack):
    rack.leaks()
    incident = rack.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "leaking_service")
    assert rack.box.asked == [("try-restart", SHOP)]
    assert "shop.service went from 500 MiB to 2.3 GiB (+380%) in 60 min" in incident.diagnosis.because


def test_nothing_is_restarted_before_it_has_lasted_for_ninety_seconds(rack):
    rack.leaks()
    incident = rack.take()
    planned = rack.run(incident, until=Phase.ACT, deliver=False)
    began = planned.due_at
    for _ in range(60):
        rack.step(incident)
        if rack.box.asked:
            break
        if (wait := rack.wait_of(incident)) > 0:
            rack.minutes_pass((wait + 0.05) / 60)
    assert rack.now(incident).acted_at - began >= timedelta(seconds=90)


def test_one_that_is_over_within_the_ninety_seconds_restarts_nothing(rack):
    rack.leaks()
    incident = rack.take()
    rack.run(incident, until=Phase.ACT, deliver=False)
    rack.box.others -= 2 * GIB
    assert rack.run(incident, most=200).ending != "resolved"
    assert rack.box.asked == []


def test_a_page_cache_ends_the_run(rack):
    """97 % is not free, and nearly all of it can be had."""
    rack.leaks()
    rack.box.others, rack.box.cache = 1 * GIB, 4 * GIB + 100 * MIB
    incident = rack.treat()
    assert (incident.ending, incident.diagnosis.name, rack.box.asked) == ("recovered", "not_exhausted", [])
    assert "with page cache, which can be had" in incident.diagnosis.because


def test_between_90_and_95_percent_tasks_must_be_waiting(rack):
    rack.leaks()
    rack.box.others -= 300 * MIB
    assert 90 < rack.box.meminfo(HOST).used_pct < 95
    rack.box.psi = Stall(some_avg10=50, some_avg60=10)
    incident = rack.treat()
    rests(rack, incident, "tight_without_stalls")
    assert "waited for memory in 10 % of the last minute" in incident.diagnosis.because


@pytest.mark.parametrize("psi", [None, Stall(some_avg10=0, some_avg60=10.1)])
def test_where_they_wait_or_nobody_counts_it_is_acted_on(rack, psi):
    rack.leaks()
    rack.box.others -= 300 * MIB
    rack.box.psi = psi
    assert rack.treat().ending == "resolved"


def test_above_95_percent_nobody_needs_to_wait(rack):
    rack.leaks()
    rack.box.psi = Stall(some_avg10=0, some_avg60=0)
    assert rack.treat().ending == "resolved"


@pytest.mark.parametrize(("now", "before"), [(2400, 2005), (2400, 2201), (239, 40)])
def test_who_did_not_grow_by_20_percent_and_200_mib_is_no_leak(rack, now, before):
    rack.leaks(now, before)
    rack.box.others = rack.box.total - sum(one.rss for one in rack.box.services.values()) - 100 * MIB
    rests(rack, rack.treat(), "no_leak_known")


def test_the_largest_that_did_not_grow_is_left_alone(rack):
    """A database's host: the database is the largest, and another one grew."""
    rack.leaks(now=900, before=300)
    rack.box.put("postgresql.service", 3 * GIB)
    rack.box.others = 3 * GIB + 600 * MIB
    rack.remembers(0, postgresql=3000)
    incident = rack.treat()
    rests(rack, incident, "inconclusive")  # nobody knows what the database held an hour ago
    assert "nobody knows what they held an hour ago: postgresql.service" in incident.reason


def test_a_growing_service_beside_a_large_one_that_did_not_grow_is_restarted(rack):
    rack.box.put("postgresql.service", 3 * GIB)
    shop = rack.box.put(SHOP, 1100 * MIB)
    rack.box.others = 3 * GIB + 600 * MIB
    rack.remembers(60, postgresql=3000, shop=300)
    assert rack.treat().ending == "resolved"
    assert (rack.box.asked, shop.lives) == ([("try-restart", SHOP)], 2)


def test_a_larger_grower_that_is_not_opted_in_keeps_the_smaller_one_from_being_restarted(rack):
    rack.leaks(now=1200, before=500)
    rack.box.services[MAIL].rss = 1500 * MIB
    incident = rack.treat()
    rests(rack, incident, "leaking_service")
    assert "mail.service went from 290 MiB" in incident.reason
    assert "does not carry byteport.restart=safe" in incident.reason


def test_what_nobody_remembers_is_not_guessed(rack):
    rack.box.put(SHOP, 2600 * MIB)
    incident = rack.treat()
    rests(rack, incident, "inconclusive")
    assert "nobody remembers who held how much an hour ago" in incident.reason


def test_a_service_that_is_younger_than_an_hour_cannot_be_told(rack):
    rack.leaks().age = 1800.0
    rests(rack, rack.treat(), "inconclusive")


def test_what_was_seen_too_long_ago_does_not_count(rack):
    rack.leaks()
    rack.minutes_pass(11)
    rests(rack, rack.treat(), "inconclusive")


def test_a_process_that_is_no_service_is_left_alone(rack):
    rack.leaks(now=300, before=290)
    rack.box.others, rack.box.stray = 7 * GIB + 200 * MIB, 900 * MIB
    incident = rack.treat()
    rests(rack, incident, "leaking_service")
    assert "bash (pid 5) went from 150 MiB to 900 MiB" in incident.reason
    assert "is no service of the system's" in incident.reason


@pytest.mark.parametrize("what", ["meminfo", "stall", "top", "labelled", "inventory"])
def test_a_host_that_cannot_be_asked_is_left_alone(rack, what):
    rack.leaks()
    rack.box.broken[what] = UNREACHABLE
    if what == "stall":
        rack.box.others -= 300 * MIB
    incident = rack.treat()
    assert (incident.phase, rack.box.asked) == (Phase.ESCALATE, [])


def test_a_service_that_does_not_come_up_is_told_and_not_tried_again(rack):
    rack.leaks().comes_up = False
    incident = rack.treat()
    assert incident.phase is Phase.ESCALATE
    assert "it did not come up: shop.service: failed" in incident.reason
    assert rack.box.asked == [("try-restart", SHOP)]


def test_memory_that_does_not_come_back_in_two_minutes_is_for_a_person(rack):
    rack.leaks().starts_with = 2400 * MIB
    incident = rack.treat()
    assert incident.phase is Phase.ESCALATE
    assert "verification failed: memory < 85% 30s after restart" in incident.reason
    assert len(rack.box.asked) == 1


def test_a_rehearsal_restarts_nothing(rack):
    rack.leaks()
    incident = rack.treat(Mode.DRY_RUN)
    assert (incident.ending, rack.box.asked) == ("rehearsed", [])
    assert rack.texts(incident.id, "rehearsal") == ["would on web1: systemctl try-restart shop.service"]


def test_people_are_told_what_they_need(rack):
    rack.leaks().comes_up = False
    rack.treat()
    told = rack.notebook.sent[0].message if hasattr(rack.notebook.sent[0], "message") else rack.notebook.sent[0]
    bundle = told.bundle
    assert bundle["host"] == HOST
    assert bundle["top_memory_consumers"][0] == "shop.service: 2.3 GiB, 1 processes"
    assert bundle["cgroup_path"] == "/system.slice/shop.service"
    assert (bundle["suggested_memory_request"], bundle["suggested_memory_limit"]) == ("600 MiB", "750 MiB")
    assert bundle["audit_before"][0] == "1 processes, 40 open files and 7 sockets"
    assert "did not come up" in bundle["restart_result"]
    assert any("MemoryHigh=600M" in line for line in bundle["manual_commands"])
    assert not any("oom_score_adj" in line for line in bundle["manual_commands"])
