"""Every guard of the page, driven through the gate before a real database: refused without any effect, and its allowed twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from byteport.model.facts.database import ReplicaLag
from byteport.model.units import MiB, minutes
from byteport.records.incident import Phase
from byteport.testing.time_travel import travel
from tests.crowd import is_alive
from tests.pages.clinic import KEY, SERVER, SLUG
from tests.pages.troubles import alive, oldest, planned, refused
from tests.servers import eventually

WORKLOAD = "c1/shop/deployment/web"


# ── kill_cap ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__kill_cap(clinic, backlog):
    clinic.spend(f"db_kills:{SERVER}", 20, minutes(1), 20)
    incident = clinic.treat()
    refused(clinic, incident, "kill_cap")
    assert incident.phase is Phase.ESCALATE
    assert "20 of 20 used" in incident.reason
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__kill_cap__allowed(clinic, backlog):
    clinic.spend(f"db_kills:{SERVER}", 20, minutes(1), 16)
    assert clinic.treat().ending == "resolved"
    assert alive(backlog) == 0


def test_with_part_of_the_cap_left_only_so_many_are_ended_and_a_person_hears_of_the_rest(clinic, backlog):
    clinic.spend(f"db_kills:{SERVER}", 20, minutes(1), 17)
    incident = clinic.treat()
    assert alive(backlog) == 1
    assert clinic.ended(incident) == ["end_idle: end sessions idle in transaction: 3 ended"]
    assert incident.phase is Phase.ESCALATE
    assert "end_idle, 1 of 4 (kill_cap, kills_per_incident)" in incident.reason


def test_a_large_backlog_is_ended_a_batch_a_minute(clinic, crowd):
    clinic.policy = replace(clinic.policy, options={SLUG: {"kills_per_minute_cap": 5, "verify_threshold_pct": 20}})
    crowd.idle_in_transaction(13)
    oldest(clinic, 300, 13)
    incident = clinic.open()
    left = []
    for batch in range(3):
        clinic.run(incident, until=Phase.VERIFY) if batch == 2 else _until_it_pauses(clinic, incident)
        left.append(clinic.lapse.state_breakdown(KEY).idle_in_transaction)
        clinic.let_a_minute_pass()
    assert left == [8, 3, 0]
    assert clinic.run(incident).ending == "resolved"


def _until_it_pauses(clinic, incident) -> None:
    before = len(clinic.texts(incident, "pause"))
    for _ in range(60):
        clinic.step(incident)
        if len(clinic.texts(incident, "pause")) > before:
            return
    raise AssertionError(clinic.texts(incident, "verdict"))


# ── kills_per_incident ───────────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__kills_per_incident(clinic, backlog):
    incident = clinic.open()
    clinic.spend(f"db_kills_per_incident:{incident}", 60, timedelta(0), 60)
    clinic.run(incident)
    refused(clinic, incident, "kills_per_incident")
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__kills_per_incident__allowed(clinic, backlog):
    incident = clinic.open()
    clinic.spend(f"db_kills_per_incident:{incident}", 60, timedelta(0), 56)
    assert clinic.run(incident).ending == "resolved"
    assert alive(backlog) == 0


# ── app_allowlist ────────────────────────────────────────────────────────────────────────────────────────────────────


def spare(clinic, *words) -> None:
    clinic.policy = replace(clinic.policy, target_options=lambda _target: {"allowlist": words})


def test_db_connection_pool_exhaustion__app_allowlist(clinic, backlog):
    incident = planned(clinic)
    spare(clinic, "web")  # since the plan was frozen
    clinic.run(incident)
    refused(clinic, incident, "app_allowlist")
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__app_allowlist__allowed(clinic, backlog):
    incident = planned(clinic)
    spare(clinic, "", "payments")
    assert clinic.run(incident).ending == "resolved"
    assert alive(backlog) == 0


def test_only_the_spared_members_are_left_out_of_a_batch(clinic, backlog, crowd):
    (proxy,) = crowd.idle_in_transaction(1, "PgBouncer 1.18")
    (batch,) = crowd.idle_in_transaction(1, "batch")
    oldest(clinic, 300, 6)
    incident = planned(clinic)
    spare(clinic, "batch")
    clinic.run(incident)
    assert (alive(backlog), is_alive(proxy), is_alive(batch)) == (0, True, True)


# ── superuser_check ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__superuser_check(clinic, backlog):
    incident = planned(clinic)
    clinic.patient.run("ALTER ROLE byteport SUPERUSER")
    try:
        clinic.run(incident)
    finally:
        clinic.patient.run("ALTER ROLE byteport NOSUPERUSER")
    refused(clinic, incident, "superuser_check")
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__superuser_check__allowed(clinic, backlog, crowd):
    (root,) = crowd.idle_in_transaction(1, url=clinic.patient.role("root", superuser=True))
    oldest(clinic, 300, 5)
    clinic.treat()
    assert alive(backlog) == 0
    assert is_alive(root)


# ── replica_lag_abort ────────────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__replica_lag_abort(clinic, backlog):
    clinic.lapse.lag = ReplicaLag(replicas=1, bytes_behind=10 * MiB + 1, furthest="standby1")
    incident = clinic.treat()
    refused(clinic, incident, "replica_lag_abort")
    assert incident.phase is Phase.ESCALATE
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__replica_lag_abort__allowed(clinic, backlog):
    clinic.lapse.lag = ReplicaLag(replicas=1, bytes_behind=10 * MiB, furthest="standby1")
    assert clinic.treat().ending == "resolved"
    assert alive(backlog) == 0


# ── cancel_to_terminate ──────────────────────────────────────────────────────────────────────────────────────────────

STUBBORN = """CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$BEGIN FOR i IN 1..60 LOOP BEGIN
  PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"""


@pytest.fixture
def stubborn(clinic, crowd):
    """Two statements that swallow their cancel, just cancelled."""
    clinic.patient.run(STUBBORN)
    for _ in range(2):
        crowd.busy("SELECT stubborn()")
    oldest(clinic, 300, 2)
    incident = clinic.open()
    _until_it_pauses(clinic, incident)
    assert clinic.ended(clinic.now(incident)) == ["cancel: cancel statements: 2 signalled"]
    yield incident
    clinic.patient.end_sessions()


def test_db_connection_pool_exhaustion__cancel_to_terminate(clinic, crowd, stubborn):
    # the ledger's minute has passed by its moved clock, the budgets' own clock says that it has not
    for _ in range(60):
        if clinic.refusals(stubborn):
            break
        clinic.step(stubborn)
        travel(clinic.url, 15)
    refused(clinic, stubborn, "cancel_to_terminate")
    assert crowd.ended == []


def test_db_connection_pool_exhaustion__cancel_to_terminate__allowed(clinic, crowd, stubborn):
    clinic.let_a_minute_pass()
    incident = clinic.run(stubborn)
    assert clinic.ended(incident)[1] == "terminate: end sessions that ignored their cancel: 2 ended"
    eventually(lambda: crowd.ended == ["AdminShutdown"] * 2)
    assert incident.ending == "resolved"
