"""The page that recovers memory by a restart, on real stores before a host that behaves: when it acts, and when not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from byteport.model.facts.memory import GIB, MIB
from byteport.model.signal import Mode, Signal
from byteport.model.target import Target, TargetKind
from byteport.records.incident import Incident, Phase
from byteport.runbooks.linux.memory_auto_recover_evidence import STATEFUL
from tests.pages.shelf import HOST, MAIL, SHOP, UNREACHABLE, Shelf

KEY = f"{SHOP}@{HOST}"


def service(key: str = KEY, **coordinates: str) -> Target:
    return Target(kind=TargetKind.SERVICE, key=key, coordinates=coordinates)


def treat(rack: Shelf, mode: Mode = Mode.LIVE, target: Target | None = None) -> Incident:
    return rack.treat(mode, target=target or service())


def rests(rack: Shelf, incident: Incident, name: str) -> None:
    assert (incident.phase, incident.diagnosis.name, rack.box.asked) == (Phase.ESCALATE, name, [])


@pytest.mark.parametrize("key", [KEY, f"shop@{HOST}"])
def test_a_managed_service_that_holds_most_is_restarted(recovering, key):
    incident = treat(recovering, target=service(key))
    assert (incident.ending, incident.diagnosis.name) == ("resolved", "managed_consumer")
    assert recovering.box.asked == [("try-restart", SHOP)]
    assert "shop.service: 5.1 GiB holds most" in incident.diagnosis.because


def test_both_samples_are_taken_when_they_should_be(recovering):
    incident = treat(recovering)
    looks = [event.at for event in recovering.ledger.events(incident.id) if event.kind == "look"]
    after = sorted((at - incident.acted_at).total_seconds() for at in looks if at > incident.acted_at)
    assert after[0] == pytest.approx(3, abs=8)
    assert after[1] == pytest.approx(30, abs=10)
    assert after[-1] >= 118


def test_one_that_is_still_above_after_half_a_minute_is_for_a_person(recovering):
    recovering.box.services[SHOP].starts_with = 5100 * MIB
    incident = treat(recovering)
    assert (incident.phase, len(recovering.box.asked)) == (Phase.ESCALATE, 1)
    assert "is_still_above" in incident.reason


def test_one_that_grows_again_within_two_minutes_has_not_recovered(recovering):
    """A reading right after a restart is always low."""
    shop = recovering.box.services[SHOP]
    incident = recovering.take(target=service())
    recovering.run(incident, until=Phase.VERIFY, most=200, deliver=False)
    shop.rss = 5 * GIB
    ended = recovering.run(incident, most=200)
    assert ended.phase is Phase.ESCALATE
    assert "verification failed: memory < recoveryThresholdPct" in ended.reason


def test_one_that_is_started_again_by_its_service_manager_is_not_healthy(recovering):
    def flaps(shop) -> None:
        shop.restarts = 1

    recovering.box.on_restart = flaps
    incident = treat(recovering)
    assert incident.phase is Phase.ESCALATE
    assert "the service is healthy" in incident.reason


def test_memory_that_can_be_had_is_no_reason(recovering):
    recovering.box.others = 1 * GIB
    incident = treat(recovering)
    assert (incident.ending, recovering.box.asked) == ("recovered", [])


def test_a_service_that_does_not_hold_most_is_left_alone(recovering):
    incident = treat(recovering, target=service(f"{MAIL}@{HOST}"))
    rests(recovering, incident, "another_consumer")
    assert "shop.service: 5.1 GiB holds most of the memory, and not mail.service" in incident.reason


def test_one_that_is_neither_labelled_nor_listed_is_left_alone(recovering):
    recovering.box.services[SHOP].label = ""
    incident = treat(recovering)
    rests(recovering, incident, "unmanaged_consumer")
    assert "does not stand in restartAllowed" in incident.reason


@pytest.mark.parametrize("name", [SHOP, "shop", KEY, f"shop@{HOST}"])
def test_one_that_is_listed_is_managed(recovering, name):
    recovering.box.services[SHOP].label = ""
    recovering.options(restartAllowed=[name])
    assert treat(recovering).ending == "resolved"


def test_one_that_is_listed_on_another_host_is_not(recovering):
    recovering.box.services[SHOP].label = ""
    recovering.options(restartAllowed=["shop@web2"])
    rests(recovering, treat(recovering), "unmanaged_consumer")


@pytest.mark.parametrize("command", STATEFUL)
def test_one_that_keeps_data_is_not_restarted_for_its_label_alone(recovering, command):
    recovering.box.services[SHOP].command = f"{command}d"
    incident = treat(recovering)
    rests(recovering, incident, "unmanaged_consumer")
    assert f"keeps data ({command})" in incident.reason


def test_one_that_keeps_data_and_is_listed_is_restarted(recovering):
    recovering.box.services[SHOP].command = "redis-server"
    recovering.options(restartAllowed=[SHOP])
    assert treat(recovering).ending == "resolved"


def test_what_must_never_be_touched_is_not_even_where_it_is_listed(recovering):
    recovering.box.services[SHOP].command = "dockerd"
    recovering.options(restartAllowed=[SHOP])
    rests(recovering, treat(recovering), "unmanaged_consumer")


@pytest.mark.parametrize(("age", "told"), [(59 * 60, "just_released"), (61 * 60, "managed_consumer")])
def test_one_that_was_just_released_is_handed_to_whoever_rolls_back(recovering, age, told):
    recovering.box.released = age
    incident = treat(recovering)
    assert incident.diagnosis.name == told
    if told == "just_released":
        rests(recovering, incident, told)
        assert "/usr/bin/shop.service changed 59 min ago; look at that release first" in incident.reason


def test_a_longer_look_back_may_be_asked_for(recovering):
    recovering.box.released = 90 * 60
    recovering.options(deployLookbackMinutes=120)
    rests(recovering, treat(recovering), "just_released")


def test_one_that_its_service_manager_restarts_again_and_again_is_in_a_loop(recovering):
    shop = recovering.box.services[SHOP]
    shop.restarts, shop.age = 2, 300.0
    incident = treat(recovering)
    rests(recovering, incident, "crash_loop")
    assert incident.reason.startswith("crash_loop_guard: 2 restarts in 30 min (2 by systemd")
    assert any("crash loop" in sent.message.dedup_key for sent in recovering.notebook.sent)


def test_restarts_of_long_ago_are_no_loop(recovering):
    recovering.box.services[SHOP].restarts = 5
    assert treat(recovering).diagnosis.name == "managed_consumer"


def test_the_third_time_in_half_an_hour_is_told_and_not_done(recovering):
    for _ in range(2):
        assert treat(recovering).ending == "resolved"
        recovering.box.services[SHOP].rss = 5200 * MIB
        recovering.minutes_pass(10)
    incident = treat(recovering)
    assert (incident.diagnosis.name, len(recovering.box.asked)) == ("crash_loop", 2)
    assert "2 by BytePort in the hour" in incident.reason


@pytest.mark.parametrize(
    ("coordinates", "words"),
    [
        ({"platform": "render"}, ("not restarted on render", "renderServiceId is not set", "/restart")),
        ({"platform": "kubernetes"}, ("not restarted on kubernetes", "kubectl")),
        ({"namespace": "shop"}, ("not restarted on kubernetes",)),
    ],
)
def test_elsewhere_people_are_told_how(recovering, coordinates, words):
    incident = treat(recovering, target=service(**coordinates))
    rests(recovering, incident, "not_on_a_host")
    assert all(word in incident.reason for word in words)


def test_never_a_deploy_to_restart(recovering):
    recovering.options(renderServiceId="srv-abc")
    treat(recovering, target=service(platform="render"))
    commands = recovering.notebook.sent[0].message.bundle["manual_commands"]
    assert any("/v1/services/srv-abc/restart" in line for line in commands)
    assert not any("deploys" in line for line in commands)


@pytest.mark.parametrize("what", ["meminfo", "top", "unit", "newest", "inventory"])
def test_a_host_that_cannot_be_asked_is_left_alone(recovering, what):
    recovering.box.broken[what] = UNREACHABLE
    incident = treat(recovering)
    assert (incident.phase, recovering.box.asked) == (Phase.ESCALATE, [])


def test_where_a_service_is_only_its_name_says(recovering):
    """Locks and budgets are kept by it; whoever sends a signal cannot point elsewhere."""
    incident = treat(recovering, target=service(f"shop@{HOST}", host="web2"))
    assert incident.ending == "resolved"


def test_people_are_told_what_they_need(recovering):
    recovering.box.services[SHOP].starts_with = 5100 * MIB
    treat(recovering)
    bundle, fields = recovering.notebook.sent[0].message.bundle, recovering.notebook.sent[0].message.fields
    assert bundle["top5_memory_table"][0] == "shop.service: 5.1 GiB, 1 processes"
    assert (bundle["runtime_env"], bundle["crash_loop_count"]) == ("systemd", 1)
    assert bundle["leak_signature"].startswith("shop.service: 5.1 GiB before, shop.service: 5.0 GiB")
    assert bundle["deploy_correlation"] == "/usr/bin/shop.service changed 1500 min ago"
    assert "%" in fields["usage_before"]


def test_an_ordinary_notice_does_not_hide_a_loop(recovering):
    """The page on a loop has a key of its own inside the day."""
    shop = recovering.box.services[SHOP]
    recovering.box.released = 600.0
    treat(recovering)
    first = recovering.notebook.sent[0].message.dedup_key
    recovering.box.released, shop.restarts, shop.age = 90_000.0, 2, 300.0
    incident = recovering.treat(target=service(f"shop@{HOST}"))
    assert incident.diagnosis.name == "crash_loop"
    assert recovering.notebook.sent[-1].message.dedup_key != first


def test_signals_of_a_service_go_to_this_page_and_those_of_a_host_do_not(recovering):
    assert isinstance(recovering.signal_of(target=service()), Signal)
    assert recovering.engine().pages.claimants("memory_pressure", TargetKind.HOST) == []
    assert timedelta(hours=24) == recovering.pages[0].escalate.once_per
