"""Routes: what an alert becomes, decided by the first line that fits, and read off without a store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from byteport.engine.pages import Pages
from byteport.engine.routing import Routing, Unrouted
from byteport.errors import BadConfiguration
from byteport.model.alert import Alert, severity_of
from byteport.model.route import FILTERS, Missing, Route, filled, shadowed
from byteport.model.signal import Severity, Signal
from byteport.plugins import Found
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from byteport.settings import Settings
from byteport.wiring import pages_of

AT = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def route(**more) -> Route:
    told = {
        "match": {"alertname": "DatabaseFull"},
        "signal": "db_pool_exhausted",
        "target": {"kind": "database", "key": "{instance|server}/{datname}"},
    }
    return Route.model_validate({**told, **more})


def alert(name: str = "DatabaseFull", **more) -> Alert:
    labels = more.pop("labels", {"instance": "db1:5432", "datname": "shop"})
    return Alert(source="alertmanager", name=name, fired_at=AT, labels=labels, **more)


def routing(*own: Route, shipped: tuple[Route, ...] = ()) -> Routing:
    return Routing(Pages((RUNBOOK,)), own, shipped)


def test_an_alert_becomes_the_signal_that_its_route_names():
    told = routing(route(labels={"team": "{team:-nobody}"})).signal_of(alert(severity=Severity.CRITICAL, value=0.97))
    assert isinstance(told, Signal)
    assert (told.name, str(told.target), told.source) == ("db_pool_exhausted", "database:db1/shop", "alertmanager")
    assert (told.severity, told.value, told.fired_at) == (Severity.CRITICAL, 0.97, AT)
    assert told.labels["team"] == "nobody"
    assert told.labels["alertname"] == "DatabaseFull"


def test_the_first_route_that_fits_decides_and_no_later_one_is_tried_instead():
    wrong = route(target={"kind": "database", "key": "{nowhere}"})
    told = routing(wrong, shipped=(route(),)).signal_of(alert())
    assert isinstance(told, Unrouted)
    assert "label 'nowhere' is missing" in told.why


def test_people_s_routes_come_before_the_built_in_ones():
    own, shipped = route(severity="warning"), route(severity="critical")
    told = routing(own, shipped=(shipped,)).signal_of(alert())
    assert isinstance(told, Signal)
    assert told.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": "grafana"}, "source is alertmanager, not grafana"),
        ({"match": {"alertname": "Other"}}, "alertname is 'DatabaseFull', not 'Other'"),
        ({"match_regex": {"instance": "db"}}, "instance is 'db1:5432', which does not match 'db'"),
        ({"match": {"environment": "prod"}}, "environment is '', not 'prod'"),
    ],
)
def test_an_alert_that_does_not_fit_is_left_alone_and_told_why(change, why):
    asked = routing(route(**change))
    assert isinstance(asked.signal_of(alert()), Unrouted)
    explained = asked.explain(alert())
    assert explained.takes is None
    assert [tried.why_not for tried in explained.considered] == [why]


def test_a_signal_that_no_enabled_runbook_claims_is_nobody_s():
    told = routing(route(signal="volume_full")).signal_of(alert())
    assert isinstance(told, Unrouted)
    assert told.why == "no enabled runbook claims volume_full on a database"
    off = Routing(Pages((RUNBOOK,), enabled=frozenset()), (route(),))
    assert isinstance(off.signal_of(alert()), Unrouted)
    assert off.explain(alert()).others == ((RUNBOOK.name, "it is not enabled"),)


def test_a_route_for_another_kind_of_target_tells_which_kind_the_runbook_has():
    told = routing(route(target={"kind": "host", "key": "{instance|host}"})).explain(alert())
    assert told.takes is None
    assert told.others == ((RUNBOOK.name, "its target is a database, not a host"),)


def test_what_a_target_is_within_is_left_out_where_the_alert_does_not_say():
    told = routing(
        route(target={"kind": "database", "key": "x", "within": ["server:{gone}"], "coordinates": {"zone": "{gone}"}})
    ).signal_of(alert())
    assert isinstance(told, Signal)
    assert (told.target.within, told.target.coordinates) == ((), {})


def test_labels_that_make_no_target_are_nobody_s():
    told = routing(route(target={"kind": "database", "key": "{datname}"})).signal_of(alert(labels={"datname": "a\nb"}))
    assert isinstance(told, Unrouted)
    assert "target.key" in told.why or "key" in told.why


def test_as_many_labels_as_a_signal_may_have_are_kept_and_people_s_own_first():
    many = {f"l{n}": "x" for n in range(64)} | {}
    told = routing(route(target={"kind": "database", "key": "x"}, labels={"team": "t"})).signal_of(alert(labels=many))
    assert isinstance(told, Signal)
    assert len(told.labels) == 64
    assert told.labels["team"] == "t"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{instance}", "10.0.0.1:9100"),
        ("{instance|host}", "10.0.0.1"),
        ("{url|domain}", "shop.example"),
        ("{v6|host}", "fd00::1"),
        ("{server|server}", "db1"),
        ("{other|server}", "db1:6432"),
        ("{gone:-default}/x", "default/x"),
        ("{gone|host:-}", ""),
        ("{{{instance|host}}}", "{10.0.0.1}"),
        ("{name|lower}", "web"),
        ("{path|last}", "deploy.yml"),
    ],
)
def test_templates(template, told):
    labels = {
        "instance": "10.0.0.1:9100", "url": "https://Shop.example.:8443/x", "v6": "[fd00::1]:9100",
        "server": "db1:5432", "other": "db1:6432", "name": "WEB", "path": ".github/workflows/deploy.yml",
    }  # fmt: skip
    assert filled(template, labels) == told


def test_a_missing_label_is_told_by_name():
    with pytest.raises(Missing, match="label 'instance' is missing"):
        filled("{instance|host}", {})


@given(st.text(alphabet=st.characters() | st.sampled_from("[]:/@{}"), max_size=60))
def test_a_filter_takes_whatever_a_label_holds(text):
    assert all(isinstance(each(text), str) for each in FILTERS.values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"match": {}}, "at least one label"),
        ({"match_regex": {"a": "("}}, "a regular expression for 'a'"),
        ({"target": {"kind": "database", "key": "{a|nonsense}"}}, "a filter that exists"),
        ({"target": {"kind": "database", "key": "{a"}}, "lone brace"),
        ({"target": {"kind": "spaceship", "key": "a"}}, "kind"),
        ({"signal": "Not A Name"}, "signal"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_wrong_route_is_told(change, field):
    with pytest.raises(ValidationError, match=field):
        route(**change)


def test_two_routes_that_select_the_same_do_not_start():
    settings = Settings.model_validate({"routes": [_raw(), _raw(severity="critical")]})
    with pytest.raises(BadConfiguration, match=r"routes\.1: a selector of its own; routes\.0 selects the same"):
        pages_of(settings, Found((RUNBOOK,), ()))
    assert list(shadowed((route(), route(source="grafana")))) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"signal": "db_pool_exhaused"}, r"routes\.0\.signal: .*did you mean 'db_pool_exhausted'"),
        ({"target": {"kind": "host", "key": "x"}}, r"routes\.0\.target\.kind: database for db_pool_exhausted"),
    ],
)
def test_a_route_to_what_no_installed_runbook_claims_does_not_start(change, told):
    settings = Settings.model_validate({"routes": [_raw(**change)]})
    with pytest.raises(BadConfiguration, match=told):
        pages_of(settings, Found((RUNBOOK,), ()))


def _raw(**more) -> dict:
    return {**route().model_dump(mode="json", exclude_unset=True), **more}


@pytest.mark.parametrize(
    ("word", "severity"), [("page", "critical"), ("ERROR", "high"), (None, "warning"), (3, "warning")]
)
def test_severities_of_sources(word, severity):
    assert severity_of(word) == severity
