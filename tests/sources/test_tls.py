"""TLS endpoints over real TLS: what they serve is read whatever is wrong with it, and told by its thresholds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from byteport.adapters.tls import TlsReader
from byteport.errors import Transient
from byteport.model.alert import Alert
from byteport.model.facts.tls import ServedCertificate
from byteport.sources.incoming import Malformed
from byteport.sources.tls import Endpoint, TlsPoller, alerts_of
from tests.certificates import Authority, serving

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
SHOP = "shop.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.made()


@pytest.fixture
def reader(authority, tmp_path) -> TlsReader:
    return TlsReader(timedelta(seconds=2), authority.file(tmp_path))


def poller(reader: TlsReader, *ports: int, name: str = SHOP) -> TlsPoller:
    endpoints = [Endpoint("127.0.0.1", port, name) for port in ports]
    return TlsPoller(reader, endpoints, timedelta(hours=1), timedelta(seconds=2))


def certificate(days: float, wrong: str = "", serial: str = "a") -> ServedCertificate:
    ends = NOW + timedelta(days=days)
    return ServedCertificate(
        serial=serial, subject=SHOP, issuer="CA", not_before=ends - timedelta(days=90), not_after=ends, wrong=wrong
    )


@pytest.mark.parametrize(
    ("days", "name", "threshold", "severity"),
    [
        (29.9, "tls_certificate_expiring", "30", "warning"),
        (14.0, "tls_certificate_expiring", "14", "warning"),
        (6.9, "tls_certificate_expiring", "7", "high"),
        (0.5, "tls_certificate_expiring", "1", "critical"),
        (-0.1, "tls_certificate_expired", "0", "critical"),
    ],
)
def test_thresholds(days, name, threshold, severity):
    (one,) = alerts_of(Endpoint(SHOP), certificate(days), NOW)
    assert (one.name, one.labels["threshold_days"], str(one.severity)) == (name, threshold, severity)
    assert (one.labels["instance"], one.labels["endpoint"]) == (SHOP, f"{SHOP}:443")


@pytest.mark.parametrize("days", [30.1, 90, 3650])
def test_what_lasts_is_not_told(days):
    assert list(alerts_of(Endpoint(SHOP), certificate(days), NOW)) == []


def test_the_next_threshold_is_heard_at_once_and_the_same_one_once_a_day():
    def event(days: float, at: datetime) -> str:
        return next(alerts_of(Endpoint(SHOP), certificate(days), at)).event_id

    assert event(20, NOW) == event(20, NOW + timedelta(hours=3))
    assert event(20, NOW) != event(20, NOW + timedelta(days=1))
    assert event(14.5, NOW) != event(14, NOW)


def test_what_is_served_is_read_and_believed(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=60)) as port:
        seen = reader.served("127.0.0.1", port, SHOP)
    assert (seen.subject, seen.issuer, seen.names, seen.wrong) == (SHOP, "Test CA", (SHOP,), "")
    assert timedelta(days=59) < seen.left(datetime.now(UTC)) <= timedelta(days=60)


def test_one_that_has_expired_is_read_and_told_as_expired_and_not_as_unbelievable(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=-2)) as port:
        (one,) = poller(reader, port).ask(datetime.now(UTC))
    assert isinstance(one, Alert)
    assert one.name == "tls_certificate_expired"
    assert "expired 2.0 days ago" in one.summary


def test_one_that_nobody_vouches_for_is_told(authority, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=60)) as port:
        (one,) = poller(TlsReader(timedelta(seconds=2)), port).ask(datetime.now(UTC))
    assert isinstance(one, Alert)
    assert (one.name, str(one.severity)) == ("tls_chain_invalid", "high")
    assert "unable to get local issuer certificate" in one.labels["reason"]


def test_one_for_another_name_is_told(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=60)) as port:
        (one,) = poller(reader, port, name="pay.example").ask(datetime.now(UTC))
    assert isinstance(one, Alert)
    assert one.name == "tls_chain_invalid"
    assert "ostname mismatch" in one.labels["reason"]


def test_a_renewed_certificate_is_the_end_of_it(authority, reader, tmp_path):
    asked = poller(reader, 0)
    with serving(authority.leaf(tmp_path, SHOP, days=5)) as port:
        asked.endpoints = [Endpoint("127.0.0.1", port, SHOP)]
        (fired,) = asked.ask(datetime.now(UTC))
    assert isinstance(fired, Alert)
    asked.endpoints = [Endpoint("127.0.0.1", 1, SHOP)]
    with pytest.raises(Transient):
        asked.ask(datetime.now(UTC))
    assert asked.memory, "who does not answer has not renewed"
    with serving(authority.leaf(tmp_path, SHOP, days=80)) as port:
        asked.endpoints = [Endpoint("127.0.0.1", port, SHOP)]
        asked.memory = {c: a.with_(labels={**a.labels, "endpoint": f"{SHOP}:{port}"}) for c, a in asked.memory.items()}
        (ended,) = asked.ask(datetime.now(UTC))
    assert isinstance(ended, Alert)
    assert (ended.resolved, ended.condition) == (True, fired.condition)


def test_one_that_hangs_keeps_none_of_the_others_waiting(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=5)) as good, serving(None) as hangs:
        began = monotonic()
        told = poller(reader, hangs, good, hangs, 1).ask(datetime.now(UTC))
        assert monotonic() - began < 8
    kinds = [type(one) for one in told]
    assert kinds == [Alert, Malformed, Malformed, Malformed]


def test_where_nobody_answers_nothing_is_known(reader):
    with pytest.raises(Transient, match=r"tls 127\.0\.0\.1:1"):
        reader.served("127.0.0.1", 1)
