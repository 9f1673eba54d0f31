"""TLS endpoints over real TLS: what they serve is read whatever is wrong with it, and told by its thresholds."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from byteport.adapters.tls import TlsReader
from byteport.errors import Transient
from byteport.model.alert import Alert
from byteport.model.facts.tls import ServedCertificate
from byteport.sources.incoming import Silent
from byteport.sources.tls import Endpoint, TlsPoller, alerts_of, in_turn
from tests.certificates import Authority, serving
from tests.remembering import Row

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
SHOP = "shop.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.made()


@pytest.fixture
def reader(authority, tmp_path) -> TlsReader:
    return TlsReader(timedelta(seconds=2), authority.file(tmp_path))


def poller(reader: TlsReader, *ports: int, name: str = SHOP) -> Row:
    endpoints = [Endpoint("127.0.0.1", port, name) for port in ports]
    return Row(TlsPoller(reader, endpoints, timedelta(hours=1), timedelta(seconds=2)))


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
    with serving(authority.leaf(tmp_path, SHOP, days=5)) as port:
        asked = poller(reader, port)
        (fired,) = asked.ask(datetime.now(UTC))
        assert isinstance(fired, Alert)
    with pytest.raises(Transient):
        asked.ask(datetime.now(UTC))
    assert list(asked.memory["told"]) == [fired.condition], "who does not answer has not renewed"
    with serving(authority.leaf(tmp_path, SHOP, days=80)) as another:
        # The same endpoint, at the door where it is served from now on.
        moved = json.loads(json.dumps(asked.memory).replace(f"{SHOP}:{port}", f"{SHOP}:{another}"))
        (ended,) = Row(poller(reader, another).poller, moved).ask(datetime.now(UTC))
    assert isinstance(ended, Alert)
    assert (ended.resolved, ended.condition) == (True, fired.condition)


def test_one_that_hangs_keeps_none_of_the_others_waiting(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=5)) as good, serving(None) as hangs:
        began = monotonic()
        told = poller(reader, hangs, good, hangs, 1).ask(datetime.now(UTC))
        assert monotonic() - began < 8
    kinds = [type(one) for one in told]
    assert kinds == [Alert, Silent, Silent, Silent]


# -- chains -------------------------------------------------------------------------------------------------------------------


def test_what_stands_between_is_read_as_it_is_served(authority, reader, tmp_path):
    with serving(authority.below("Middle CA").leaf(tmp_path, SHOP, days=60)) as port:
        seen = reader.served("127.0.0.1", port, SHOP)
    assert (seen.issuer, seen.chain, seen.wrong) == ("Middle CA", ("Middle CA",), "")


def test_one_that_is_served_without_its_issuer_s_is_told(authority, reader, tmp_path):
    with serving(authority.below("Middle CA").leaf(tmp_path, SHOP, days=60, alone=True)) as port:
        (one,) = poller(reader, port).ask(datetime.now(UTC))
    assert isinstance(one, Alert)
    assert one.name == "tls_chain_invalid"
    assert one.labels["reason"].endswith("it is served without its issuer's")


def test_one_above_it_that_has_expired_is_told_although_its_own_dates_are_well(authority, reader, tmp_path):
    with serving(authority.below("Old CA", days=-3).leaf(tmp_path, SHOP, days=60)) as port:
        (one,) = poller(reader, port).ask(datetime.now(UTC))
    assert isinstance(one, Alert)
    assert one.name == "tls_chain_invalid"
    assert one.labels["reason"] == "certificate has expired: not this certificate, one above it"


def test_one_that_has_expired_and_that_nobody_vouches_for_is_told_as_both(authority, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=-2)) as port:
        heard = poller(TlsReader(timedelta(seconds=2)), port).ask(datetime.now(UTC))
    assert [one.name for one in heard if isinstance(one, Alert)] == ["tls_certificate_expired", "tls_chain_invalid"]


# -- several hosts, other protocols, and those that waste time ------------------------------------------------------------------


def test_two_hosts_of_one_name_are_two_conditions_of_one_domain(authority, reader, tmp_path):
    """One of them was renewed: that ends nothing of the other, look for look."""
    pem, renewed = authority.leaf(tmp_path, SHOP, days=5), authority.leaf(tmp_path, SHOP, days=80)
    with serving(pem) as old, serving(renewed) as new:
        asked = poller(reader, old, new)
        asked.endpoints = [Endpoint("127.0.0.1", old, SHOP), Endpoint("localhost", new, SHOP)]
        for _ in range(2):
            (one,) = asked.ask(datetime.now(UTC))
            assert isinstance(one, Alert)
            assert (one.resolved, one.labels["host"], one.labels["instance"]) == (False, "127.0.0.1", SHOP)
    assert str(Endpoint("10.0.0.7", 443, SHOP)) != str(Endpoint("10.0.0.8", 443, SHOP))


def says(*lines: tuple[bytes, int]):
    """A server that says each line, and then reads so many bytes."""

    def before(raw: socket.socket) -> None:
        for line, length in lines:
            raw.sendall(line)
            got = b""
            while len(got) < length:
                got += raw.recv(length - len(got))

    return before


HELLO, START = len(b"EHLO byteport.invalid\r\n"), len(b"STARTTLS\r\n")
MAIL = says(
    (b"220-mail.example\r\n220 ready\r\n", HELLO), (b"250-mail.example\r\n250-STARTTLS\r\n250 HELP\r\n", START),
    (b"220 go ahead\r\n", 0),
)  # fmt: skip


@pytest.mark.parametrize(("starttls", "before"), [("smtp", MAIL), ("postgres", says((b"", 8), (b"S", 0)))])
def test_what_is_spoken_before_tls(authority, reader, tmp_path, starttls, before):
    with serving(authority.leaf(tmp_path, SHOP, days=5), before) as port:
        seen = reader.served("127.0.0.1", port, SHOP, starttls)
    assert (seen.subject, seen.wrong) == (SHOP, "")


@pytest.mark.parametrize(
    ("starttls", "before", "words"),
    [
        ("postgres", says((b"", 8), (b"N", 0)), "PostgreSQL offers no TLS"),
        ("smtp", says((b"220 x\r\n", HELLO), (b"250 x\r\n", 0)), "offers no STARTTLS"),
        ("smtp", says((b"554 go away\r\n", 0)), "220 was expected"),
        ("smtp", says((b"220-" + b"x" * 9999, 0)), "a line without an end"),
        ("smtp", says((b"220-x\r\n" * 200, 0)), "a reply without an end"),
        ("none", says((b"SSH-2.0-OpenSSH\r\n", 0)), "tls 127.0.0.1"),
    ],
)
def test_who_does_not_come_along_says_nothing_of_a_certificate(authority, reader, tmp_path, starttls, before, words):
    with serving(authority.leaf(tmp_path, SHOP, days=5), before) as port, pytest.raises(Transient, match=words):
        reader.served("127.0.0.1", port, SHOP, starttls)


@pytest.mark.parametrize("starttls", ["none", "smtp"])
def test_one_that_answers_byte_by_byte_gets_no_more_time_than_any_other(authority, tmp_path, starttls):
    def drop_by_drop(raw: socket.socket) -> None:
        """The head of a TLS record that is longer than it will ever come, or a line of a mail server without an end."""
        raw.sendall(b"\x16\x03\x03\x3f\xff" if starttls == "none" else b"220-")
        over = threading.Event()
        while not over.wait(0.1):
            raw.sendall(b"x")

    with serving(authority.leaf(tmp_path, SHOP, days=5), drop_by_drop) as port:
        began = monotonic()
        with pytest.raises(Transient):
            TlsReader(timedelta(seconds=1)).served("127.0.0.1", port, SHOP, starttls)
        assert monotonic() - began < 4


def test_who_was_silent_is_asked_last(authority, reader, tmp_path):
    with serving(authority.leaf(tmp_path, SHOP, days=60)) as good:
        asked = poller(reader, 1, good)
        asked.ask(datetime.now(UTC))
        first, second = asked.poller.endpoints
        assert asked.memory["silent"] == [str(first)]
    assert in_turn([first, second], asked.memory["silent"]) == [second, first]
    assert in_turn([first, second], ()) == [first, second]


def test_where_nobody_answers_nothing_is_known(reader):
    with pytest.raises(Transient, match=r"tls 127\.0\.0\.1:1"):
        reader.served("127.0.0.1", 1)
