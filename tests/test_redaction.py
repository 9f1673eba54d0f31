"""No secret gets past, whatever stands around it; what is none stays readable."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.redaction import MARK, looks_secret, redact, redact_text

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEcanary\nAAAA\n-----END RSA PRIVATE KEY-----"
# Each with the part that must not be seen afterwards.
CANARIES = [
    ("postgresql://app:canary7@db1:5432/shop?sslmode=require", "canary7"),
    ("postgres://app:can@ry7/x@db1/shop", "can@ry7"),
    ("redis://:canary7@10.0.0.1:6379/0", "canary7"),
    ("https://canary7@git.example.test/x.git", "canary7"),
    ("amqp://u:canary7@h1,amqp://u:canary7@h2", "canary7"),
    ("app:canary7@tcp(db1:3306)/shop", "canary7"),
    ("host=db1 user=app password=canary7 dbname=shop", "canary7"),
    ("host=db1 password = 'canary 7 \\' x' dbname=shop", "canary 7"),
    ("PGPASSWORD=canary7 psql", "canary7"),
    ("mysql --password canary7 -h db1", "canary7"),
    ("curl -H 'X-Api-Key: canary7'", "canary7"),
    ("Authorization: Bearer canary7canary", "canary7"),
    ("authorization: Basic Y2FuYXJ5Nzp4eHg=", "Y2FuYXJ5"),
    ("proxy-authorization=Digest username=a, response=canary7", "canary7"),
    ("sent Bearer canary7.canary-7", "canary7"),
    ("Cookie: session=canary7; other=canary7", "canary7"),
    ("AKIACANARYCANARY1234", "AKIACANARY"),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUt"),
    ("found wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1 there", "wJalrXUt"),
    (PEM, "MIIEcanary"),
    (PEM[:50], "MIIEcanary"),
    (json.dumps({"key": PEM}), "MIIEcanary"),
    ("write to canary.seven+x@example.test please", "canary.seven"),
    ("xoxb-123456789012-canary7canary", "canary7"),
    ("xapp-1-A0-canary7canary7", "canary7"),
    ("ghp_canary7canary7canary7canary7canary7", "canary7"),
    ("github_pat_canary7canary7canary7", "canary7"),
    ("glpat-canary7canary7canary7", "canary7"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOjd9.c2lnbmF0dXJl", "eyJjYW5hcnki"),
    ("\x1b[31mghp_canary7canary7canary7canary7", "canary7"),
    ("\x1b[0mnpm_canary7canary7canary7canary7", "canary7"),
    ("sk-canary7canary7canary7", "canary7"),
    ("hvs.canary7canary7canary7", "canary7"),
    ("https://hooks.slack.com/services/T000/B000/canary7canary7", "canary7"),
    ('{"token": "canary7", "host": "db1"}', "canary7"),
    ("{'client_secret': 'canary7'}", "canary7"),
    ('{\\"apiKey\\": \\"canary7\\"}', "canary7"),
    ("?access_token=canary7&x=1", "canary7"),
    ("SECRET_KEY_BASE => canary7", "canary7"),
    ("routing_key: canary7", "canary7"),
]
HARMLESS = [
    "3 sessions idle in transaction for more than 300 s on db1:5432/shop",
    "password authentication failed for user app",
    "commit 5fac9aa1b2c3d4e5f60718293a4b5c6d7e8f9012",
    "image registry:5000/shop:v1@sha256:0123456789abcdef",
    "10:22:07 verdict: kill_cap allowed, 4 of 20 used on db_kills:db1",
    "i3f2a9c0d1e2f3a4b5c6d7e8f9a0b1c2 at https://byteport.example.test/incidents/i1?tab=evidence",
    "dedup_key escalation|disk_full|web1; max_tokens: 12; keys: a, b",
    "SELECT pg_terminate_backend($1) WHERE a < $2 -- 2026-11-23T10:00:00+00:00",
    "task-queue-consumer-worker and desk-by-the-window-left",
    "/var/lib/postgresql/18/main/pg_wal/000000010000000000000001",
]
around = st.text(max_size=30)
breaks = st.sampled_from([" ", "\n", "\t"])
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from([c for c, _ in CANARIES]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize(("text", "canary"), CANARIES)
def test_the_canary_is_gone(text: str, canary: str):
    assert canary not in redact_text(text)
    assert MARK in redact_text(text)


@given(before=around, first=breaks, case=st.sampled_from(CANARIES), then=breaks, after=around)
def test_the_canary_is_gone_whatever_stands_around_it(before, first, case, then, after):
    text, canary = case
    whole = f"{before}{first}{text}{then}{after}"
    for shown in (redact_text(whole), json.dumps(redact({"a": [{"note": whole}]})), redact_text(json.dumps([whole]))):
        assert canary not in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays_readable(text: str):
    assert redact_text(text) == text


@given(json_like)
def test_twice_is_once_and_stays_json(value: object):
    once = redact(value)
    assert redact(once) == once
    json.dumps(once)


@given(st.text())
def test_twice_is_once_for_text(text: str):
    assert redact_text(redact_text(text)) == redact_text(text)


@given(
    st.lists(
        st.sampled_from(["bearer", "basic", "hooks.", "eyJ", "AKIA", "xoxb-", "sk-", " ", "a", "Z", "7", "/", "."])
    )
)
def test_a_short_text_is_let_through_only_where_no_rule_would_take_it(parts: list[str]):
    """Behind enough room every rule is tried."""
    text, room = "".join(parts)[:12], " " * 20
    assert redact_text(room + text) == room + redact_text(text)


def test_a_name_that_is_seen_often_is_treated_as_at_first():
    told = {"password": "hunter2", "job": "valves", "AKIAABCDEFGHIJKLMNOP": 1}
    assert [redact(told) for _ in range(3)] == [{"password": "[redacted]", "job": "valves", "[redacted]": 1}] * 3


def test_names_of_secrets_stay_and_their_values_go():
    told = {
        "DB_PASSWORD": "x1",
        "apiToken": 12,
        "tls": {"private_key": ["a", "b"]},
        "credentials": {"user": "u", "id": 7},
    }
    assert redact(told) == {
        "DB_PASSWORD": MARK,
        "apiToken": MARK,
        "tls": {"private_key": MARK},
        "credentials": {"user": MARK, "id": MARK},
    }


def test_that_nothing_is_set_is_shown():
    assert redact({"password": None, "token": "", "secret": False}) == {"password": None, "token": "", "secret": False}


def test_environments_and_secrets_as_kubernetes_writes_them():
    pod = {"env": [{"name": "DB_PASSWORD", "value": "x1"}, {"name": "REGION", "value": "north"}]}
    assert redact(pod) == {"env": [{"name": "DB_PASSWORD", "value": MARK}, {"name": "REGION", "value": "north"}]}
    secret = {"kind": "Secret", "metadata": {"name": "db"}, "data": {"user": "eDE="}, "stringData": {"x": "y"}}
    assert redact(secret)["data"] == {"user": MARK}
    assert redact(secret)["stringData"] == {"x": MARK}
    assert redact(secret)["metadata"] == {"name": "db"}


def test_keys_are_looked_at_too():
    assert redact({"postgres://u:canary7@h/d": 1}) == {f"postgres://{MARK}@h/d": 1}


def test_what_is_no_json_becomes_its_redacted_text():
    assert redact(ValueError("password=canary7")) == f"password={MARK}"
    assert redact(b"token: canary7") == f"token: {MARK}"
    assert redact((Path("/etc"), datetime(2026, 1, 1, tzinfo=UTC))) == ["/etc", "2026-01-01 00:00:00+00:00"]


def test_what_never_ends_is_cut_off():
    endless: list[object] = []
    endless.append(endless)
    assert MARK in json.dumps(redact(endless))


@pytest.mark.parametrize(
    "name", ["password", "PGPASSWORD", "X-Auth-Token", "clientSecret", "aws_secret_access_key", "dsn"]
)
def test_names_that_look_secret(name: str):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name", ["key", "dedup_key", "claim_key", "tokens", "passed", "author", "incident", "bypass_reason"]
)
def test_names_that_do_not(name: str):
    assert not looks_secret(name)


@pytest.mark.parametrize("unit", ["a", "@", "a@", "://", "a:b@", "password", 'password="', "--", "-----BEGIN A-----", "x/", "A1a", "\\", " ", "eyJaaaaaa.", "bearer "])  # fmt: skip
def test_no_text_takes_long(unit: str):
    begun = time.process_time()
    redact_text(unit * (262_144 // len(unit)))
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    "name", ["shop.service@web1", "shop.service@web1.example.net", "at@1.service@web1.example.net"]
)
def test_a_service_of_a_host_is_no_address_of_mail(name):
    assert redact_text(f"service:{name} was restarted") == f"service:{name} was restarted"
