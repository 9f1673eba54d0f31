"""The page on a host's memory, on real stores before a host that behaves: what it restarts, and when it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.model.facts.memory import GIB, MIB, Stall
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.pages.shelf import HOST, MAIL, SHOP, UNREACHABLE


def rests(shelf, incident, name) -> None:
    """With a person, and nothing was done."""
    assert (incident.phase, incident.diagnosis.name, shelf.box.asked) == (Phase.ESCALATE, name, [])


def test_the_service_that_leaks_is_restarted_and_memory_comes_back(shelf):
    shelf.leaks()
    incident = shelf.treat()
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "leaking_service")
    assert shelf.box.asked == [("try-restart", SHOP)]
    assert "shop.service went from 500 MiB to 2.3 GiB (+380%) in 60 min" in incident.diagnosis.because


def test_nothing_is_restarted_before_it_has_lasted_for_ninety_seconds(shelf):
    shelf.leaks()
    incident = shelf.take()
    planned = shelf.run(incident, until=Phase.ACT, deliver=False)
    began = planned.due_at
    for _ in range(60):
        shelf.step(incident)
        if shelf.box.asked:
            break
        if (wait := shelf.wait_of(incident)) > 0:
            shelf.minutes_pass((wait + 0.05) / 60)
    assert shelf.now(incident).acted_at - began >= timedelta(seconds=90)


def test_one_that_is_over_within_the_ninety_seconds_restarts_nothing(shelf):
    shelf.leaks()
    incident = shelf.take()
    shelf.run(incident, until=Phase.ACT, deliver=False)
    shelf.box.others -= 2 * GIB
    assert shelf.run(incident, most=200).ending != "resolved"
    assert shelf.box.asked == []


def test_a_page_cache_ends_the_run(shelf):
    """97 % is not free, and nearly all of it can be had."""
    shelf.leaks()
    shelf.box.others, shelf.box.cache = 1 * GIB, 4 * GIB + 100 * MIB
    incident = shelf.treat()
    assert (incident.ending, incident.diagnosis.name, shelf.box.asked) == ("recovered", "not_exhausted", [])
    assert "with page cache, which can be had" in incident.diagnosis.because


def test_between_90_and_95_percent_tasks_must_be_waiting(shelf):
    shelf.leaks()
    shelf.box.others -= 300 * MIB
    assert 90 < shelf.box.meminfo(HOST).used_pct < 95
    shelf.box.psi = Stall(some_avg10=50, some_avg60=10)
    incident = shelf.treat()
    rests(shelf, incident, "tight_without_stalls")
    assert "waited for memory in 10 % of the last minute" in incident.diagnosis.because


@pytest.mark.parametrize("psi", [None, Stall(some_avg10=0, some_avg60=10.1)])
def test_where_they_wait_or_nobody_counts_it_is_acted_on(shelf, psi):
    shelf.leaks()
    shelf.box.others -= 300 * MIB
    shelf.box.psi = psi
    assert shelf.treat().ending == "resolved"


def test_above_95_percent_nobody_needs_to_wait(shelf):
    shelf.leaks()
    shelf.box.psi = Stall(some_avg10=0, some_avg60=0)
    assert shelf.treat().ending == "resolved"


@pytest.mark.parametrize(("now", "before"), [(2400, 2005), (2400, 2201), (239, 40)])
def test_who_did_not_grow_by_20_percent_and_200_mib_is_no_leak(shelf, now, before):
    shelf.leaks(now, before)
    shelf.box.others = shelf.box.total - sum(one.rss for one in shelf.box.services.values()) - 100 * MIB
    rests(shelf, shelf.treat(), "no_leak_known")


def test_the_largest_that_did_not_grow_is_left_alone(shelf):
    """A database's host: the database is the largest, and another one grew."""
    shelf.leaks(now=900, before=300)
    shelf.box.put("postgresql.service", 3 * GIB)
    shelf.box.others = 3 * GIB + 600 * MIB
    shelf.remembers(0, postgresql=3000)
    incident = shelf.treat()
    rests(shelf, incident, "inconclusive")  # nobody knows what the database held an hour ago
    assert "nobody knows what they held an hour ago: postgresql.service" in incident.reason


def test_a_growing_service_beside_a_large_one_that_did_not_grow_is_restarted(shelf):
    shelf.box.put("postgresql.service", 3 * GIB)
    shop = shelf.box.put(SHOP, 1100 * MIB)
    shelf.box.others = 3 * GIB + 600 * MIB
    shelf.remembers(60, postgresql=3000, shop=300)
    assert shelf.treat().ending == "resolved"
    assert (shelf.box.asked, shop.lives) == ([("try-restart", SHOP)], 2)


def test_a_larger_grower_that_is_not_opted_in_keeps_the_smaller_one_from_being_restarted(shelf):
    shelf.leaks(now=1200, before=500)
    shelf.box.services[MAIL].rss = 1500 * MIB
    incident = shelf.treat()
    rests(shelf, incident, "leaking_service")
    assert "mail.service went from 290 MiB" in incident.reason
    assert "does not carry byteport.restart=safe" in incident.reason


def test_what_nobody_remembers_is_not_guessed(shelf):
    shelf.box.put(SHOP, 2600 * MIB)
    incident = shelf.treat()
    rests(shelf, incident, "inconclusive")
    assert "nobody remembers who held how much an hour ago" in incident.reason


def test_a_service_that_is_younger_than_an_hour_cannot_be_told(shelf):
    shelf.leaks().age = 1800.0
    rests(shelf, shelf.treat(), "inconclusive")


def test_what_was_seen_too_long_ago_does_not_count(shelf):
    shelf.leaks()
    shelf.minutes_pass(11)
    rests(shelf, shelf.treat(), "inconclusive")


def test_a_process_that_is_no_service_is_left_alone(shelf):
    shelf.leaks(now=300, before=290)
    shelf.box.others, shelf.box.stray = 7 * GIB + 200 * MIB, 900 * MIB
    incident = shelf.treat()
    rests(shelf, incident, "leaking_service")
    assert "bash (pid 5) went from 150 MiB to 900 MiB" in incident.reason
    assert "is no service of the system's" in incident.reason


@pytest.mark.parametrize("what", ["meminfo", "stall", "top", "labelled", "inventory"])
def test_a_host_that_cannot_be_asked_is_left_alone(shelf, what):
    shelf.leaks()
    shelf.box.broken[what] = UNREACHABLE
    if what == "stall":
        shelf.box.others -= 300 * MIB
    incident = shelf.treat()
    assert (incident.phase, shelf.box.asked) == (Phase.ESCALATE, [])


def test_a_service_that_does_not_come_up_is_told_and_not_tried_again(shelf):
    shelf.leaks().comes_up = False
    incident = shelf.treat()
    assert incident.phase is Phase.ESCALATE
    assert "it did not come up: shop.service: failed" in incident.reason
    assert shelf.box.asked == [("try-restart", SHOP)]


def test_memory_that_does_not_come_back_in_two_minutes_is_for_a_person(shelf):
    shelf.leaks().starts_with = 2400 * MIB
    incident = shelf.treat()
    assert incident.phase is Phase.ESCALATE
    assert "verification failed: memory < 85% 30s after restart" in incident.reason
    assert len(shelf.box.asked) == 1


def test_a_rehearsal_restarts_nothing(shelf):
    shelf.leaks()
    incident = shelf.treat(Mode.DRY_RUN)
    assert (incident.ending, shelf.box.asked) == ("rehearsed", [])
    assert shelf.texts(incident.id, "rehearsal") == ["would on web1: systemctl try-restart shop.service"]


def test_people_are_told_what_they_need(shelf):
    shelf.leaks().comes_up = False
    shelf.treat()
    bundle = shelf.notebook.sent[0].message.bundle
    assert bundle["host"] == HOST
    assert bundle["top_memory_consumers"][0] == "shop.service: 2.3 GiB, 1 processes"
    assert bundle["cgroup_path"] == "/system.slice/shop.service"
    assert (bundle["suggested_memory_request"], bundle["suggested_memory_limit"]) == ("600 MiB", "750 MiB")
    assert bundle["audit_before"][0] == "1 processes, 40 open files and 7 sockets"
    assert "did not come up" in bundle["restart_result"]
    assert any("MemoryHigh=600M" in line for line in bundle["manual_commands"])
    assert not any("oom_score_adj" in line for line in bundle["manual_commands"])
