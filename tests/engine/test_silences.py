"""Silences, ours and other systems', and maintenance windows: they stop acting, not looking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from byteport.engine.matching import agrees, facts_of
from byteport.model.signal import Severity
from byteport.records.standing import ForeignSilence, Matcher
from byteport.settings import Settings
from byteport.settings.maintenance import MaintenanceSection
from byteport.testing.time_travel import travel
from byteport.wiring_policy import policy_of
from tests.ward.world import World

HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def window(**more) -> MaintenanceSection:
    return MaintenanceSection.model_validate(
        {"match": {"kind": "service"}, "start": "02:00", "minutes": 120, "why": "backups", **more}
    )


def foreign(
    *matchers: Matcher, ident: str = "a", begins: timedelta = -HOUR, lasts: timedelta = 2 * HOUR
) -> ForeignSilence:
    now = datetime.now(UTC)
    return ForeignSilence(
        id=ident, matchers=matchers, why="rack move", who="bob", since=now + begins, until=now + begins + lasts
    )


@pytest.mark.parametrize(
    ("matcher", "holds"),
    [
        (Matcher(name="instance", value="web1"), True),
        (Matcher(name="instance", value="web"), False),
        (Matcher(name="instance", value="web.*", is_regex=True), True),
        (Matcher(name="instance", value="eb1", is_regex=True), False),
        (Matcher(name="instance", value="web1", is_equal=False), False),
        (Matcher(name="instance", value="db.*", is_regex=True, is_equal=False), True),
        (Matcher(name="gone", value=""), True),
        (Matcher(name="gone", value=".+", is_regex=True), False),
        (Matcher(name="instance", value="(?P<", is_regex=True), True),
    ],
)
def test_matchers_are_alertmanager_s(matcher, holds):
    assert matcher.agrees({"instance": "web1"}) is holds


def test_what_alertmanager_silences_is_looked_at_and_not_acted_on(world: World) -> None:
    world.ledger.keep_silences("alertmanager", [foreign(Matcher(name="instance", value="v.*", is_regex=True))])
    incident = world.run(world.open("ward_one", labels={"instance": "v1"}))
    assert (incident.ending, world.ward.effects()) == ("suppressed", [])
    assert "rack move (bob)" in incident.reason
    assert incident.diagnosis is not None


def test_a_silence_of_something_else_stops_nothing(world: World) -> None:
    silences = [
        foreign(Matcher(name="instance", value="v2"), ident="a"),
        foreign(Matcher(name="instance", value="v1"), Matcher(name="severity", value="info"), ident="b"),
        foreign(Matcher(name="instance", value="v1"), ident="c", begins=HOUR),
        foreign(Matcher(name="instance", value="v1"), ident="d", lasts=timedelta(minutes=1)),
    ]
    world.ledger.keep_silences("alertmanager", silences)
    assert world.run(world.open("ward_one", labels={"instance": "v1"})).ending == "resolved"


def test_a_silence_that_the_other_system_has_no_more_has_ended(world: World) -> None:
    ours = world.ledger.silence({"target": "v9"}, HOUR, "planned work", "ada")
    silence = foreign(Matcher(name="instance", value="v1"))
    world.ledger.keep_silences("alertmanager", [silence, foreign(Matcher(name="x", value="y"), ident="b")])
    world.ledger.keep_silences("another", [foreign(Matcher(name="x", value="y"))])
    world.ledger.keep_silences("alertmanager", [silence.with_(why="rack move, again")])
    rows = {row.origin: row for row in world.ledger.silences()}
    assert rows.keys() == {"", "alertmanager/a", "another/a"}
    assert rows["alertmanager/a"].why == "rack move, again"
    assert rows["alertmanager/a"].selects == "instance=v1"
    assert rows[""].id == ours


def test_while_the_other_system_cannot_be_asked_nothing_is_acted_on(world: World) -> None:
    """There may be a silence that nobody here has read."""
    world.ledger.polled(world.ledger.poll_begins("silences of alertmanager", timedelta(seconds=60), ""), "")
    assert world.run(world.open("ward_one")).ending == "resolved"
    travel(world.url, 181)
    incident = world.run(world.open("ward_one", "v2"))
    assert (incident.ending, len(world.ward.effects())) == ("suppressed", 1)
    assert "silences of alertmanager cannot be read" in incident.reason


def test_a_silence_of_ours_can_be_ended_and_another_system_s_not(world: World) -> None:
    ours = world.ledger.silence({"target": "v1"}, HOUR, "planned work", "ada")
    world.ledger.keep_silences("alertmanager", [foreign(Matcher(name="instance", value="v2"))])
    (theirs,) = (row.id for row in world.ledger.silences() if row.origin)
    assert not world.ledger.end_silence(theirs, "ada")
    assert world.ledger.end_silence(ours, "ada")
    assert not world.ledger.end_silence(ours, "ada")
    assert world.run(world.open("ward_one")).ending == "resolved"


def test_a_maintenance_window_stops_acting_and_is_named(world: World) -> None:
    world.policy = replace(world.policy, maintenance=lambda *_asked: "backups (maintenance until noon)")
    incident = world.run(world.open("ward_one"))
    assert (incident.ending, world.ward.effects()) == ("suppressed", [])
    assert "backups" in incident.reason


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-26T01:59:59+00:00", None),
        ("2026-11-26T02:00:00+00:00", "2026-11-26T04:00:00+00:00"),
        ("2026-11-26T03:59:59+00:00", "2026-11-26T04:00:00+00:00"),
        ("2026-11-26T04:00:00+00:00", None),
    ],
)
def test_a_window_is_open_from_its_start_to_its_end(now, until):
    assert window().open_until(at(now)) == (at(until) if until else None)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_began():
    friday = window(days=["fri"], start="23:00", minutes=180)
    assert friday.open_until(at("2026-11-27T23:30:00+00:00")) == at("2026-11-28T02:00:00+00:00")
    assert friday.open_until(at("2026-11-28T01:30:00+00:00")) == at("2026-11-28T02:00:00+00:00")
    assert friday.open_until(at("2026-11-28T23:30:00+00:00")) is None
    assert friday.open_until(at("2026-11-27T01:30:00+00:00")) is None


def test_a_window_keeps_to_the_clock_on_its_wall():
    berlin = window(timezone="Europe/Berlin")
    assert berlin.open_until(at("2026-07-01T00:30:00+00:00")) is not None
    assert berlin.open_until(at("2026-12-01T00:30:00+00:00")) is None
    assert berlin.open_until(at("2026-12-01T01:30:00+00:00")) is not None


def test_a_weekend_is_one_window():
    weekend = window(days=["fri"], start="18:00", minutes=60 * 60)
    assert weekend.open_until(at("2026-11-29T20:00:00+00:00")) == at("2026-11-30T06:00:00+00:00")
    assert weekend.open_until(at("2026-11-30T06:00:00+00:00")) is None


@given(st.integers(0, 365 * 24 * 60), st.integers(1, 1440))
def test_whatever_is_open_ends_within_its_length(now, minutes):
    asked = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=now)
    until = window(minutes=minutes, timezone="America/New_York").open_until(asked)
    assert until is None or timedelta(0) < until - asked <= timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"match": {}}, "match"),
        ({"start": "25:00"}, "start"),
        ({"timezone": "Europe/Nowhere"}, "a time zone of the IANA database"),
        ({"days": []}, "at least one day"),
        ({"minutes": 2000}, "at most 1440"),
        ({"why": ""}, "why"),
    ],
)
def test_a_window_that_means_nothing_is_refused(change, told):
    with pytest.raises(ValidationError, match=told):
        window(**change)


def test_the_configuration_s_windows_reach_the_engine(world: World):
    settings = Settings.model_validate(
        {
            "maintenance": [
                {"match": {"kind": "service", "team": "pumps"}, "start": "00:00", "minutes": 1440, "why": "moving"}
            ]
        }
    )
    maintenance = policy_of(settings).maintenance
    now = datetime.now(UTC)
    ours, others = world.signal("ward_one", labels={"team": "pumps"}), world.signal("ward_one")
    assert maintenance("ward_one", ours, now).startswith("moving (maintenance until ")
    assert maintenance("ward_one", others, now) == ""


def test_what_is_selected_by(world: World):
    signal = world.signal("ward_one", labels={"team": "pumps", "kind": "a label"}, severity=Severity.HIGH)
    facts = facts_of("ward_one", signal)
    assert facts["kind"] == "service"
    assert agrees(
        {"team": "pumps", "runbook": "ward_one", "target": "v1", "signal": "ward_one", "source": "test"}, facts
    )
    assert not agrees({"team": "pumps", "target": "v2"}, facts)
    assert not agrees({}, facts)
