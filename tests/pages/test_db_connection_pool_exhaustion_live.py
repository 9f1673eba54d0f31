"""The six classes provoked on a real PostgreSQL and pgbouncer, treated from the signal to the end; and what is let be."""

from __future__ import annotations

import psycopg
import pytest

from byteport.engine.drive import exit_code
from byteport.model.signal import Mode
from byteport.records.incident import Phase
from tests.crowd import is_alive
from tests.pages.clinic import KEY
from tests.pages.troubles import alive, leaking, oldest
from tests.servers import eventually

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7)"


def test_forgotten_transactions_are_ended_and_use_falls(clinic, crowd):
    leaked = crowd.idle_in_transaction(13)
    bystander = crowd.join("bystander")
    oldest(clinic, 300, 13)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence, incident.ending) == (
        "idle_in_tx_backlog",
        91,
        "resolved",
    )
    assert alive(leaked) == 0
    assert is_alive(bystander)
    assert clinic.ended(incident) == ["end_idle: end sessions idle in transaction: 13 ended"]
    record = clinic.ledger.postmortem(incident.id).record
    assert record["facts"]["utilization_before"] == "94.1%"
    assert record["facts"]["utilization_after"] == "17.6%"
    assert len(record["facts"]["pids_terminated"]) == 13
    assert [check["passed"] for check in record["checks"]] == [True, True, None, None]


def test_two_forgotten_transactions_are_no_backlog(clinic, crowd):
    leaked = crowd.idle_in_transaction(2)
    oldest(clinic, 300, 2)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("unknown", Phase.ESCALATE)
    assert alive(leaked) == 2


def test_young_transactions_are_no_backlog(clinic, crowd):
    busy = crowd.idle_in_transaction(3)
    clinic.lapse.freeze()
    assert clinic.treat().diagnosis.name == "unknown"
    assert alive(busy) == 3


def test_a_leaking_release_is_restarted_without_surge_and_gets_its_surge_back(clinic, crowd):
    leaking(clinic, crowd)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence) == ("leak_after_deploy", 88)
    assert clinic.deploys.restarts == ["c1/shop/deployment/web"]
    assert incident.ending == "resolved"
    assert (clinic.deploys.live.max_surge, clinic.deploys.live.max_unavailable) == ("25%", "25%")


@pytest.mark.parametrize("changes", [{"age_seconds": 3700}, {"applications": ("other",)}])
def test_an_old_deploy_or_anothers_leak_restarts_nothing(clinic, crowd, changes):
    leaking(clinic, crowd, **changes)
    assert clinic.treat().diagnosis.name == "unknown"
    assert clinic.deploys.restarts == []


def test_endless_statements_are_cancelled_and_their_sessions_stay(clinic, crowd):
    ones = [crowd.busy("SELECT pg_sleep(600)") for _ in range(2)]
    short = crowd.join("web")
    oldest(clinic, 300, 2)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence, incident.ending) == (
        "long_running_query",
        85,
        "resolved",
    )
    eventually(lambda: crowd.ended == ["QueryCanceled"] * 2)
    assert alive([*ones, short]) == 3
    assert clinic.ledger.postmortem(incident.id).record["facts"]["top5_query_fingerprints"] == [
        "2 x SELECT pg_sleep(?)"
    ]


def test_one_statement_under_ten_minutes_is_let_run(clinic, crowd):
    crowd.busy("SELECT pg_sleep(600)")
    oldest(clinic, 300)
    assert clinic.treat().diagnosis.name == "unknown"
    assert crowd.ended == []


def test_of_a_fanned_out_application_the_idle_transactions_are_ended(clinic, crowd):
    for _ in range(13):
        crowd.join("nightly")
    forgotten = crowd.idle_in_transaction(2, "nightly")
    oldest(clinic, 60, 2)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence) == ("runaway_cron_fanout", 82)
    assert alive(forgotten) == 0
    assert incident.phase is Phase.ESCALATE  # its idle connections still hold the slots: recycling it is for people
    assert incident.reason.startswith("verification failed: utilization < 70%")
    assert "Recycle the application now" in str(clinic.page_fix(incident))


def test_fourteen_connections_of_one_application_are_no_fan_out(clinic, crowd):
    for _ in range(12):
        crowd.join("nightly")
    forgotten = crowd.idle_in_transaction(2, "nightly")
    oldest(clinic, 60, 2)
    assert clinic.treat().diagnosis.name != "runaway_cron_fanout"
    assert alive(forgotten) == 2


def test_a_saturated_pooler_gets_a_quarter_more(clinic, queue):
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence, incident.ending) == (
        "missing_pgbouncer",
        80,
        "resolved",
    )
    assert "default_pool_size = 5\n" in queue.ini.read_text()
    assert clinic.reading.pooler.default_pool_size(KEY) == 5


def test_without_an_opt_in_the_saturated_pooler_is_only_proposed_a_size(clinic, queue):
    clinic.put_before(queue, opted_in=False)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("missing_pgbouncer", Phase.ESCALATE)
    assert "propose default_pool_size = 5" in incident.reason
    assert clinic.reading.pooler.default_pool_size(KEY) == 4


def test_a_pooler_that_serves_everybody_is_let_be(clinic, pgbouncer):
    """The queue's twin: the same pooler with a server to spare, and nobody waits."""
    pooler = pgbouncer(clinic.patient, default_pool_size=4)
    clients = [psycopg.connect(pooler.url, prepare_threshold=None) for _ in range(3)]
    for one in clients:
        one.execute("SELECT 1")
    clinic.put_before(pooler)
    assert clinic.reading.pooler.pools(KEY).longest_wait_seconds == 0
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("unknown", Phase.ESCALATE)
    assert "default_pool_size = 4\n" in pooler.ini.read_text()
    for one in clients:
        one.close()


def test_where_all_that_could_be_ended_may_not_be_touched_a_guard_was_the_reason(clinic, crowd):
    spared = crowd.idle_in_transaction(4, application="pg_dump")
    oldest(clinic, 300, 4)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("idle_in_tx_backlog", Phase.ESCALATE)
    assert "may be ended" in incident.reason
    assert exit_code(incident) == 4
    assert alive(spared) == 4


def test_who_still_waits_for_a_lock_afterwards_is_told_to_a_person(clinic, crowd):
    """The sessions that were to be ended are gone; somebody who may not be ended keeps another one waiting."""
    leaked = crowd.idle_in_transaction(3)
    oldest(clinic, 300, 3)
    (holder,) = crowd.idle_in_transaction(1, application="pg_dump", doing=ONE_AT_A_TIME)
    crowd.busy(ONE_AT_A_TIME, application="bystander")
    eventually(lambda: clinic.lapse.state_breakdown(KEY).lock_waiters == 1)
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("idle_in_tx_backlog", Phase.ESCALATE)
    assert alive(leaked) == 0
    assert is_alive(holder)
    assert "verification failed: lock_waiters = 0 (" in incident.reason


def test_full_slots_without_a_cause_are_for_a_person(clinic, crowd):
    for n in range(13):
        crowd.join(f"app{n}")
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.diagnosis.confidence, incident.phase) == (
        "undersized_pool",
        75,
        Phase.ESCALATE,
    )
    assert alive(crowd.people) == 13


def test_a_healthy_database_is_unknown_and_let_be(clinic, crowd):
    crowd.join()
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("unknown", Phase.ESCALATE)
    assert alive(crowd.people) == 1


# ── what is let be ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backlog_that_clears_up_before_the_first_write_is_recovered_by_itself(clinic, crowd):
    leaked = crowd.idle_in_transaction(4)
    oldest(clinic, 300, 4)
    incident = clinic.open()
    clinic.decide(incident)
    for one in leaked:
        one.execute("COMMIT")
    clinic.let_a_minute_pass()  # the evidence is old by now, so it looks again
    closed = clinic.run(incident)
    assert closed.ending == "recovered"
    assert alive(leaked) == 4


def test_a_server_out_of_reach_ends_in_an_escalation_that_says_so(clinic):
    clinic.patient.stop()
    incident = clinic.treat()
    assert (incident.diagnosis.name, incident.phase) == ("inconclusive", Phase.ESCALATE)
    assert "unreachable" in incident.reason
    clinic.patient.restart()


def test_a_login_that_may_not_look_ends_in_an_escalation_that_names_the_grant(clinic, crowd):
    leaked = crowd.idle_in_transaction(4)
    clinic.patient.run("REVOKE pg_monitor FROM eyes")
    incident = clinic.treat()
    assert "GRANT pg_monitor" in incident.reason
    assert alive(leaked) == 4


def test_a_login_that_may_not_signal_ends_in_an_escalation_that_names_the_grant(clinic, crowd):
    leaked = crowd.idle_in_transaction(4)
    clinic.patient.run("REVOKE pg_signal_backend FROM hand")
    oldest(clinic, 300, 4)
    incident = clinic.treat()
    assert incident.phase is Phase.ESCALATE
    assert "GRANT pg_signal_backend" in incident.reason
    assert alive(leaked) == 4


def test_every_slot_taken_is_treated_over_the_kept_connections(clinic, crowd):
    crowd.fill(crowd.idle_in_transaction)
    leaked = [one for one in crowd.people if not one.closed]
    oldest(clinic, 300, len(leaked))
    incident = clinic.treat()
    assert incident.ending == "resolved"
    assert alive(leaked) == 0


def test_in_dry_run_nothing_is_ended_and_the_verdicts_are_shown(clinic, crowd):
    leaked = crowd.idle_in_transaction(4)
    oldest(clinic, 300, 4)
    incident = clinic.treat(mode=Mode.DRY_RUN)
    assert incident.ending == "rehearsed"
    assert clinic.texts(incident.id, "rehearsal")[0].startswith(f"would end sessions idle in transaction: 4 of {KEY}")
    assert alive(leaked) == 4
