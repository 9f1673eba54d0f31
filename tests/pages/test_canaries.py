"""Secrets are planted in everything that comes in, and looked for in everything that goes out or stays."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from byteport.channels.github_issues import body_of
from byteport.channels.journal import as_markdown
from byteport.channels.pagerduty import PagerDuty
from byteport.channels.postmark import html
from byteport.channels.slack_blocks import blocks, line
from byteport.records.incident import Phase
from tests.github_server import TOKEN
from tests.pages.pipeline import HELM
from tests.sentry_server import raised
from tests.web.conftest import SECRET, serving
from tests.web.conftest import standing as standing

CANARIES = {
    "url": "https://deployer:c4n4ry-url-pass@registry.example/v2/",
    "database": "postgresql://app:c4n4ry-db-pass@db1.example/shop",
    "bearer": "Authorization: Bearer c4n4ry.bearer.0123456789abcdef",
    "basic": "curl -u deployer:c4n4ry-basic https://deployer:c4n4ry-basic@registry.example/",
    "aws": "AKIAC4N4RY0123456789",
    "github": "ghp_c4n4ry0123456789abcdefghijklmnop0123",
    "slack": "xoxb-c4n4ry-0123456789-abcdefghijkl",
    "environment": "DB_PASSWORD=c4n4ry-env-pass",
    "json": '{"client_secret": "c4n4ry-json-secret"}',
    "key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEc4n4ryc4n4ryc4n4ry\n-----END RSA PRIVATE KEY-----",
    "mail": "c4n4ry.person@mail.example",
}
TEXT = " ; ".join(CANARIES.values())
BIRD = re.compile(r"c4n4ry|C4N4RY", re.IGNORECASE)


def birds(text: str) -> list[str]:
    """Canaries in a text, with what stands around them."""
    return [text[max(0, found.start() - 40) : found.end() + 20] for found in BIRD.finditer(text)]


def everything_stored(url: str) -> str:
    """Every column of every row of the ledger, as text."""
    told: list[str] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'byteport'").fetchall()
        for (table,) in tables:
            rows = connection.execute(f'select t::text from byteport."{table}" t').fetchall()  # type: ignore[arg-type]
            told += [f"{table}: {row[0]}" for row in rows]
    return "\n".join(told)


class Said:
    """A PagerDuty that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def send(self, action: str, dedup_key: str, event: Any) -> str:
        self.events.append(event)
        return dedup_key


def test_nothing_of_a_failed_run_s_log_gets_through(pipeline, capfd) -> None:
    """From the log of a job and the alert about it, to evidence, journal, messages, postmortem and standard output."""
    pipeline.good()
    log = HELM + "".join(f"ETIMEDOUT {canary}\nError: UPGRADE FAILED {canary}\n" for canary in CANARIES.values())
    run = pipeline.fail(log, name=f"Deploy {CANARIES['environment']}", display_title=TEXT[:200])
    labels = {"note": TEXT[:2000], "db_password": "c4n4ry-label", "team": "shop"}
    incident = pipeline.treat(run, summary=TEXT[:2000], labels=labels, raw={"payload": TEXT, "token": "c4n4ry-raw"})
    assert incident.phase is Phase.ESCALATE
    pipeline.ledger.command(incident.id, "close", "ada", "seen")
    assert pipeline.run(incident.id).phase is Phase.CLOSED
    pagerduty = Said()
    for sent in pipeline.notebook.sent:
        PagerDuty(pagerduty).send(sent)
        shown = [
            as_markdown(sent),
            html(sent),
            body_of(sent),
            line(sent.message),
            json.dumps(blocks(sent, buttons=True)),
        ]
        assert birds("\n".join(shown)) == []
    assert pipeline.notebook.sent
    assert birds(json.dumps(pagerduty.events)) == []
    assert birds(everything_stored(pipeline.url)) == []
    out = capfd.readouterr()
    assert birds(out.out + out.err) == []
    assert TOKEN not in everything_stored(pipeline.url) + out.out + out.err


def test_nothing_of_an_event_gets_through(desk, capfd) -> None:
    """What Sentry keeps of an error: its title, culprit, message and frames, a request and a user."""
    desk.sentry.title = f"ETIMEDOUT {TEXT[:400]}"
    desk.sentry.exceptions = [
        raised("OperationalError", canary, ("shop.web", canary[:60])) for canary in CANARIES.values()
    ]
    incident = desk.treat(note=TEXT[:2000])
    assert incident.phase is Phase.ESCALATE
    desk.ledger.command(incident.id, "close", "ada", "seen")
    assert desk.run(incident.id).phase is Phase.CLOSED
    for sent in desk.notebook.sent:
        shown = [
            as_markdown(sent),
            html(sent),
            body_of(sent),
            line(sent.message),
            json.dumps(blocks(sent, buttons=True)),
        ]
        assert birds("\n".join(shown)) == []
    assert desk.notebook.sent
    assert birds(everything_stored(desk.url)) == []
    out = capfd.readouterr()
    assert birds(out.out + out.err) == []


@pytest.mark.parametrize("broken", [False, True])
def test_nothing_of_an_alert_gets_through_taken_or_refused(standing, capfd, broken) -> None:
    alert = {
        "status": "firing", "startsAt": "2026-11-26T09:58:00Z", "fingerprint": "f1",
        "labels": {
            "alertname": "DatabaseFull", "instance": "db1:5432", "datname": "shop", "note": TEXT[:2000],
            "api_key": "c4n4ry-label",
        },
        "annotations": {"summary": TEXT, "description": TEXT}, "generatorURL": CANARIES["url"],
    }  # fmt: skip
    wrong = [{**alert, "startsAt": TEXT}, {**alert, "labels": TEXT}, TEXT, {"status": TEXT}]
    with serving(standing) as service, service.anybody() as client, service.program() as program:
        answer = client.post(
            "/webhooks/alertmanager", json={"version": "4", "alerts": [alert, *(wrong if broken else [])]},
            headers={"Authorization": f"Bearer {SECRET}"},
        )  # fmt: skip
        assert answer.status_code == (422 if broken else 202)
        refused = client.post(
            "/webhooks/alertmanager", content=TEXT.encode(), headers={"Authorization": f"Bearer {SECRET}"}
        )
        forged = client.post(
            "/webhooks/alertmanager", json={"alerts": [alert]}, headers={"Authorization": f"Bearer {TEXT[:60]}"}
        )
        page = program.get("/api/v1/incidents").text
    assert (refused.status_code, forged.status_code) == (422, 401)
    assert birds(answer.text + refused.text + forged.text + page) == []
    assert birds(everything_stored(standing.settings.ledger_dsn)) == []
    out = capfd.readouterr()
    assert birds(out.out + out.err) == []
    assert SECRET not in out.out + out.err
