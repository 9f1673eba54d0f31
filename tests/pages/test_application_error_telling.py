"""The page on application errors: told as its contract lists, once for a matter, and nothing of a person's in it."""

from __future__ import annotations

import json

from byteport.records.incident import Phase
from byteport.runbooks.application.application_error import RUNBOOK
from tests.pages.application import HOST, SLUG
from tests.pages.test_application_error import TRACES
from tests.sentry_server import ORG, raised


def told(desk, channel: str = "postmark") -> list:
    return [one.message for one in desk.notebook.sent if one.message.channel == channel]


def test_people_are_told_what_the_contract_lists(desk):
    desk.correlated()
    desk.options(rollbackEnabled=False)
    incident = desk.treat()
    assert incident.phase is Phase.ESCALATE
    (message,) = told(desk)
    assert message.fields == {
        "project": "shop", "class": "deploy_correlation", "events": "300 in 5 min",
        "correlated": "deploy of shop@2.0.0", "action": "nothing was written", "link": f"/incidents/{incident.id}",
        "issue": f"https://{ORG}.sentry.example/issues/1170820242/",
    }  # fmt: skip
    bundle = message.bundle
    assert set(RUNBOOK.escalate.content) <= bundle.keys()
    assert (bundle["short_id"], bundle["event_count"], bundle["affected_users"]) == ("SHOP-1F", 480, 57)
    assert bundle["guidance"].startswith("The running release brought it.")
    assert bundle["manual_commands"] == [f"ssh {HOST} '/usr/local/bin/helm rollback api 41 -n shop'"]
    assert {one.channel for one in (*told(desk), *told(desk, "slack"), *told(desk, "github_issue"))} == {
        "postmark", "slack", "github_issue",
    }  # fmt: skip


def test_what_was_run_is_named_with_where_its_output_is(desk):
    desk.correlated()
    desk.manager.ends = ("failed", "exit-code", 1)
    desk.treat()
    (unit, _), (message,) = desk.manager.started[0], told(desk)
    assert message.fields["action"] == "rollback: failed"
    assert message.bundle["units"] == [unit]
    assert f"ssh {HOST} journalctl --user --unit={unit}" in message.bundle["manual_commands"]


def test_a_page_that_nobody_knows_anything_about_still_says_where_to_look(desk):
    desk.treat()
    (message,) = told(desk)
    assert message.fields["class"] == "unknown"
    assert message.bundle["permalink"].startswith("https://")
    assert "read its stack trace" in message.bundle["guidance"]
    assert message.bundle["frames"] == ["shop.web:handle", "shop.orders:save"]


def again(desk) -> int:
    """Signalled anew after the incident was closed; how many messages there are by now."""
    (line, *_) = desk.ledger.listing()
    desk.ledger.command(line.id, "close", "ada", "seen")
    desk.run(line.id)
    desk.minutes_pass(30)
    desk.treat()
    return len([one for one in told(desk) if one.kind == "escalation"])


def test_a_matter_is_told_once_a_day(desk):
    assert (RUNBOOK.escalate.once_per.total_seconds(), RUNBOOK.escalate.on_duplicate) == (86_400, "comment")
    incident = desk.treat()
    desk.engine().take(desk.signal(note="told again"))
    assert desk.run(incident.id).id == incident.id
    assert len(told(desk)) == 1


def test_an_issue_that_regressed_or_has_doubled_is_a_matter_of_its_own(desk):
    desk.treat()
    desk.sentry.now_rate *= 2
    assert again(desk) == 2
    desk.sentry.regressed = (desk.sentry.minutes_ago(1), "shop@2.0.0")
    assert again(desk) == 3
    keys = [one.dedup_key for one in told(desk) if one.kind == "escalation"]
    assert len(set(keys)) == 3
    assert "doubled 4" in keys[1]
    assert "regressed" in keys[2]


def test_of_users_only_their_number_is_kept_or_told(desk):
    desk.sentry.exceptions = [
        raised("IntegrityError", "DETAIL: Key (email)=(customer@mail.example) already exists, card 4111111111111111"),
        raised("OperationalError", "no order 'order-of-Somebody' for 192.0.2.7"),
    ]
    desk.sentry.title = "IntegrityError: Key (email)=(customer@mail.example) already exists"
    incident = desk.treat()
    stored = [json.dumps(answer.fact) for answer in desk.ledger.answers(incident.id)]
    events = [f"{event.text} {json.dumps(event.data)}" for event in desk.ledger.events(incident.id)]
    messages = [one.message.model_dump_json() for one in desk.notebook.sent]
    everything = "\n".join([*stored, *events, *messages])
    for theirs in ("customer@", "4111", "order-of-Somebody", "192.0.2.7", "s3cr3t", "somebody@mail", "Somebody"):
        assert theirs not in everything, theirs
    assert "Key (email)=(?) already exists" in everything


def test_what_an_event_says_is_no_part_of_what_is_run(desk):
    desk.correlated()
    desk.sentry.exceptions = [raised("$(touch /tmp/x)", "--replicas=99; rm -rf /", ("`id`", "${HOME}"))]
    desk.treat()
    ((_, argv),) = desk.manager.started
    assert argv == ("/usr/local/bin/helm", "rollback", "api", "41", "-n", "shop")


def test_every_class_that_nobody_acts_on_is_told(desk):
    for kind in ("db_connection", "upstream_5xx"):
        desk.sentry.exceptions = [raised(*TRACES[kind][0])]
        desk.sentry.issue_id = str(int(desk.sentry.issue_id) + 1)
        incident = desk.treat()
        assert (incident.runbook, incident.phase, incident.diagnosis.name) == (SLUG, Phase.ESCALATE, kind)
    assert [one.fields["class"] for one in told(desk)] == ["db_connection", "upstream_5xx"]
