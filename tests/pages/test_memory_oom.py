"""The page on kills for want of memory, on real stores before a host that behaves: five causes, and who is restarted."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from byteport.model.facts.memory import GIB, MIB
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints
from byteport.model.signal import Mode
from byteport.model.target import TargetKind
from byteport.records.incident import Phase
from tests.pages.oom import KEY, asked, held, leaks, rests, target, treat
from tests.pages.shelf import HOST, MAIL, SHOP, UNREACHABLE

JVM = RuntimeHints(kind="jvm", pid=10, heap=600 * MIB, source="-Xmx600m of the command line", dump_free=4 * GIB)
DUMP = ["/usr/bin/curl", "-fsS", "-X", "POST", "http://127.0.0.1:9000/heapdump"]


def test_a_leak_is_restarted_after_the_back_off(oom):
    leaks(oom)
    incident = treat(oom)
    assert (incident.ending, incident.diagnosis.name, incident.diagnosis.confidence) == ("resolved", "memory_leak", 85)
    assert oom.box.asked == [("try-restart", SHOP)]
    assert "no request rate is configured" in incident.diagnosis.because


def test_a_heap_that_may_outgrow_the_limit_is_proposed_and_never_restarted(oom):
    """Before anything else, or it would be restarted again and again."""
    leaks(oom)
    oom.box.hints[SHOP] = JVM.with_(heap=1200 * MIB, source="-Xmx1200m of JAVA_TOOL_OPTIONS")
    incident = treat(oom)
    rests(oom, incident, "runtime_misconfig")
    assert "proposed, not applied: -Xmx750m instead of -Xmx1200m of JAVA_TOOL_OPTIONS" in incident.reason


def test_node_s_heap_is_proposed_in_its_own_words(oom):
    oom.box.hints[SHOP] = RuntimeHints(
        kind="node", pid=10, heap=2 * GIB, source="--max-old-space-size=2048 of NODE_OPTIONS"
    )
    held(oom, lambda _ago: 500)
    incident = treat(oom)
    rests(oom, incident, "runtime_misconfig")
    assert "--max-old-space-size=750" in incident.reason


def test_a_heap_within_the_limit_is_no_cause(oom):
    leaks(oom)
    oom.box.hints[SHOP] = JVM
    assert treat(oom).diagnosis.name == "memory_leak"


def test_a_neighbor_is_named_and_nobody_is_moved(oom):
    leaks(oom)
    oom.box.services[SHOP].rss = 300 * MIB
    oom.box.put(MAIL, 5 * GIB)
    incident = treat(oom)
    rests(oom, incident, "noisy_neighbor")
    assert "mail.service: 5.0 GiB holds most of the host's memory while shop.service stays within" in incident.reason


def test_a_spike_goes_with_the_traffic_and_its_limit_is_computed(oom):
    wave = lambda ago: 600 + 300 * math.sin(ago / 30)  # noqa: E731
    held(oom, wave)
    asked(oom, lambda ago: wave(ago) / 10)
    incident = treat(oom)
    rests(oom, incident, "traffic_spike")
    assert "computed, not applied: MemoryMax=1500M" in incident.reason


def test_a_rise_that_goes_with_the_traffic_is_no_leak(oom):
    leaks(oom)
    asked(oom, lambda ago: 200 - ago)
    rests(oom, treat(oom), "traffic_spike")


def test_a_rise_beside_a_traffic_that_does_not_rise_is_one(oom):
    leaks(oom)
    asked(oom, lambda ago: 100 + 20 * math.sin(ago / 7))
    incident = treat(oom)
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "memory_leak")
    assert "does not go with the requests" in incident.diagnosis.because


def test_a_need_that_stands_high_is_proposed_a_limit(oom):
    held(oom, lambda ago: 860 + ago % 10)
    incident = treat(oom)
    rests(oom, incident, "undersized_limit")
    assert "proposed, not applied: MemoryMax=1297M in its unit file (p99 of use 865 MiB" in incident.reason


def test_a_need_that_does_not_stand_high_has_no_known_cause(oom):
    held(oom, lambda ago: 500 + ago % 10)
    rests(oom, treat(oom), "unknown")


@pytest.mark.parametrize("age", [7000.0, 600.0])
def test_a_leak_needs_two_hours_since_the_last_start(oom, age):
    leaks(oom)
    oom.box.services[SHOP].age = age
    assert treat(oom).diagnosis.name in ("unknown", "undersized_limit")
    assert oom.box.asked == []


def test_what_nobody_remembers_is_not_guessed(oom):
    incident = treat(oom)
    rests(oom, incident, "inconclusive")
    assert "nobody remembers" in incident.reason


def test_without_a_limit_of_its_own_the_host_s_memory_counts(oom):
    oom.box.limits[SHOP] = None
    leaks(oom)
    incident = treat(oom)
    assert (incident.diagnosis.name, oom.box.asked) == ("memory_leak", [])
    assert "is_pressed did not come true" in incident.reason


def test_one_that_does_not_carry_the_label_is_left_alone(oom):
    leaks(oom)
    oom.box.services[SHOP].label = ""
    incident = treat(oom)
    rests(oom, incident, "memory_leak")
    assert "left alone: shop.service does not carry byteport.restart=safe" in incident.reason


def test_the_back_off_grows_with_the_restarts_of_the_hour(oom):
    """30 s, then 60 s."""
    waits = []
    for _ in range(2):
        leaks(oom)
        oom.box.services[SHOP].rss, oom.box.services[SHOP].age = 950 * MIB, 4 * 3600.0
        incident = treat(oom)
        assert incident.ending == "resolved"
        waits += oom.texts(incident.id, "pause")
        oom.minutes_pass(11)
        oom.budgets_forget()
    assert waits == ["waiting 30 s", "waiting 60 s"]


@pytest.mark.parametrize(
    ("coordinates", "word"), [({"namespace": "shop"}, "kubernetes"), ({"platform": "render"}, "render")]
)
def test_elsewhere_people_are_told(oom, coordinates, word):
    incident = treat(oom, target=target("shop", **coordinates))
    rests(oom, incident, "not_on_a_host")
    assert f"it runs on {word}, where BytePort does not act yet" in incident.reason


# ── heaps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def dumps(oom, words=DUMP, **more):
    leaks(oom)
    oom.box.hints[SHOP] = JVM.with_(**more)
    oom.box.heaps[SHOP] = HeapInfo(used=500 * MIB)
    oom.options(heapDumpCommand=list(words), heapDumpFolder="/var/dumps")
    return treat(oom)


def test_a_heap_is_captured_before_the_restart(oom):
    incident = dumps(oom)
    assert incident.ending == "resolved"
    assert [argv for _, argv in oom.manager.started] == [tuple(DUMP)]
    begun = [intent.move for intent in sorted(oom.ledger.intents_of(incident.id), key=lambda one: one.begun_at)]
    assert begun == ["capture_heap", "restart"]


@pytest.mark.parametrize("end", [("failed", "timeout", 15), ("failed", "exit-code", 22)])
def test_a_capture_that_fails_keeps_nothing_from_being_restarted(oom, end):
    oom.manager.ends = end
    incident = dumps(oom)
    assert (incident.ending, len(oom.manager.started), len(oom.box.asked)) == ("resolved", 1, 1)


@pytest.mark.parametrize(
    "more",
    [
        {"dump_free": 749 * MIB}, {"dump_free": None}, {"kind": "other"}, {"kind": "node", "snapshots": False},
        {"words": ["/bin/kill", "-USR1", "10"]}, {"words": ["/bin/kill", "-s", "SIGUSR1", "10"]},
        {"words": ["/bin/kill", "-10", "99"]}, {"words": []},
    ],
)  # fmt: skip
def test_no_heap_is_captured_where_that_is_not_safe(oom, more):
    """Too little room, a runtime that would not understand it, a signal that ends most processes."""
    incident = dumps(oom, **more)
    assert (incident.ending, oom.manager.started, len(oom.box.asked)) == ("resolved", [], 1)


def test_no_heap_is_captured_on_a_service_that_is_nearly_out(oom):
    oom.box.services[SHOP].rss = 975 * MIB
    incident = dumps(oom)
    assert (incident.ending, oom.manager.started) == ("resolved", [])


def test_node_writes_a_snapshot_only_where_it_was_started_for_that(oom):
    assert dumps(oom, kind="node", snapshots=True, heap=None).ending == "resolved"
    assert len(oom.manager.started) == 1


# ── verification, and what people hear ───────────────────────────────────────────────────────────────────────────────


def test_a_restart_that_does_not_bring_it_below_70_percent_has_not_helped(oom):
    leaks(oom)
    oom.box.services[SHOP].starts_with = 750 * MIB
    incident = treat(oom)
    assert incident.phase is Phase.ESCALATE
    assert "verification failed: RSS < 70% of limit" in incident.reason


def test_one_that_is_killed_again_has_not_been_helped(oom):
    leaks(oom)
    oom.box.on_restart = lambda _service: oom.box.oom_kills.update({SHOP: 1})
    incident = treat(oom)
    assert incident.phase is Phase.ESCALATE
    assert "no new OOM kill" in incident.reason


def test_an_error_rate_that_nobody_measures_is_not_passed(oom):
    leaks(oom)
    checks = {check.name: check for check in treat(oom).checks}
    assert not checks["error rate <= 1.2 x the usual"].measured


def test_a_rehearsal_touches_nothing(oom):
    leaks(oom)
    incident = treat(oom, Mode.DRY_RUN)
    assert (incident.ending, oom.box.asked, oom.manager.started) == ("rehearsed", [], [])


@pytest.mark.parametrize("what", ["group", "top", "runtime", "unit", "inventory"])
def test_a_host_that_cannot_be_asked_is_left_alone(oom, what):
    leaks(oom)
    oom.box.broken[what] = UNREACHABLE
    incident = treat(oom)
    assert (incident.phase, oom.box.asked) == (Phase.ESCALATE, [])


@pytest.mark.parametrize("what", ["kernel", "heap", "meminfo"])
def test_what_only_supports_keeps_nothing_from_being_done(oom, what):
    leaks(oom)
    oom.box.broken[what] = UNREACHABLE
    assert treat(oom).ending == "resolved"


def test_people_are_told_what_they_need(oom):
    oom.box.oom_kills[SHOP] = 3
    held(oom, lambda _ago: 860)
    treat(oom)
    bundle = oom.notebook.sent[0].message.bundle
    assert bundle["service"] == KEY
    assert bundle["cgroup_limit"] == "1000 MiB"
    assert "3 kills (/system.slice/shop.service, v2)" in bundle["cgroup_usage"]
    assert bundle["dmesg_oom_log"] == ["kernel: Out of memory: Killed process 10 (shop)"]
    assert bundle["heap_snapshot_path"].startswith("none: ")
    assert any("memory.events" in line for line in bundle["manual_commands"])
    assert not any("USR1" in line for line in bundle["manual_commands"])


def test_it_takes_kills_and_pressure_of_services_before_its_siblings(oom):
    pages = oom.engine().pages
    assert [page.name for page in pages.claimants("oom_kill", TargetKind.SERVICE)] == ["memory_pressure_oom"]
    assert pages.claimants("oom_kill", TargetKind.HOST) == []
    assert oom.pages[0].escalate.once_per == timedelta(hours=1)
    assert HOST in KEY
