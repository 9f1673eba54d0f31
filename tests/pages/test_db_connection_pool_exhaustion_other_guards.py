"""The guards on pooler, restarts, mode and confidence, driven through the gate before real servers, each with its twin."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from byteport.actions.pgbouncer import RaisePoolSize
from byteport.engine.errand import Errand
from byteport.engine.gate import Gate
from byteport.engine.work import Work
from byteport.grammar.plan import Do
from byteport.model.units import hours
from byteport.records.outcome import Refused
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK
from tests.pages.clinic import KEY, SERVER
from tests.pages.troubles import alive, leaking, planned, refused
from tests.servers import eventually

WORKLOAD = "c1/shop/deployment/web"


# ── the pooler ───────────────────────────────────────────────────────────────────────────────────────────────────────


def size(clinic) -> int:
    return clinic.reading.pooler.default_pool_size(KEY)


def test_db_connection_pool_exhaustion__pooler_file_opt_in(clinic, queue):
    incident = planned(clinic)
    clinic.put_before(queue, opted_in=False)
    clinic.run(incident)
    refused(clinic, incident, "pooler_file_opt_in")
    assert size(clinic) == 4


def test_db_connection_pool_exhaustion__pooler_file_opt_in__allowed(clinic, queue):
    clinic.run(planned(clinic))
    assert size(clinic) == 5


def test_db_connection_pool_exhaustion__pool_step(clinic, queue):
    incident = planned(clinic)
    queue.ini.write_text(queue.ini.read_text().replace("default_pool_size = 4", "default_pool_size = 3"))
    queue.reload()
    eventually(lambda: size(clinic) == 3)
    clinic.run(incident)
    refused(clinic, incident, "pool_step")
    assert size(clinic) == 3


def test_db_connection_pool_exhaustion__pool_step__allowed(clinic, queue):
    clinic.run(planned(clinic))
    assert size(clinic) == 5


def test_db_connection_pool_exhaustion__pool_ceiling(clinic, queue, crowd):
    incident = planned(clinic)
    for n in range(8):
        crowd.join(f"newcomer{n}")
    clinic.run(incident)
    refused(clinic, incident, "pool_ceiling")
    assert size(clinic) == 4


def test_db_connection_pool_exhaustion__pool_ceiling__allowed(clinic, queue, crowd):
    incident = planned(clinic)
    crowd.join("newcomer")
    clinic.run(incident)
    assert size(clinic) == 5


def test_db_connection_pool_exhaustion__pgbouncer_reload(clinic, queue):
    clinic.spend(f"pgbouncer_reload:pooler:{KEY}", 1, hours(24), 1)
    incident = clinic.treat()
    refused(clinic, incident, "pgbouncer_reload")
    assert size(clinic) == 4


def test_db_connection_pool_exhaustion__pgbouncer_reload__allowed(clinic, queue):
    clinic.spend("pgbouncer_reload:pooler:another/app", 1, hours(24), 1)
    assert clinic.treat().ending == "resolved"
    assert size(clinic) == 5


class KillThePool(RaisePoolSize):
    """What nobody may ever write on this page."""

    verbs: ClassVar[tuple[str, ...]] = ("KILL",)


def raised_by(clinic, action) -> object:
    """What the gate answers when the plan's step is this action."""
    incident = planned(clinic)
    engine = clinic.engine()
    for _ in range(20):  # until the locks are held and everything has been looked at again
        for round_, group in engine.groups_to_send(incident):
            engine.look(incident, round_, group)
        if clinic.now(incident).locked:
            break
        engine.move(incident)
    current, lease = clinic.ledger.claim(incident, engine.pages.digests)
    gate = Gate(clinic.ledger, clinic.budgets, clinic.reading, clinic.writing, clinic.policy)
    known = Work(current, lease, RUNBOOK, clinic.ledger, gate, clinic.policy).evidence
    fresh = replace(known, looked_at=max(known.taken_at.values()))  # time runs fast here
    return gate.perform(Errand(RUNBOOK, current, lease, 0, Do(move="raise_pool", action=action), fresh))


def test_db_connection_pool_exhaustion__pgbouncer_reload_only(clinic, queue):
    outcome = raised_by(clinic, KillThePool(database=KEY, server=SERVER, was=4, to=5))
    assert isinstance(outcome, Refused)
    assert outcome.blocking.guard == "pgbouncer_reload_only"
    assert size(clinic) == 4


def test_db_connection_pool_exhaustion__pgbouncer_reload_only__allowed(clinic, queue):
    outcome = raised_by(clinic, RaisePoolSize(database=KEY, server=SERVER, was=4, to=5))
    assert not isinstance(outcome, Refused), outcome.blocking
    assert size(clinic) == 5


# ── restarts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__two_replicas(clinic, crowd):
    leaking(clinic, crowd)
    incident = planned(clinic)
    clinic.deploys.deploy = clinic.deploys.deploy.with_(replicas=1)
    clinic.run(incident)
    refused(clinic, incident, "two_replicas")
    assert clinic.deploys.restarts == []


def test_db_connection_pool_exhaustion__two_replicas__allowed(clinic, crowd):
    leaking(clinic, crowd, replicas=2)
    clinic.treat()
    assert clinic.deploys.restarts == [WORKLOAD]


def test_db_connection_pool_exhaustion__service_restarts(clinic, crowd):
    leaking(clinic, crowd)
    clinic.spend("service_restarts:deployment:c1/shop/web", 3, hours(1), 3)
    incident = clinic.treat()
    refused(clinic, incident, "service_restarts")
    assert clinic.deploys.restarts == []


def test_db_connection_pool_exhaustion__service_restarts__allowed(clinic, crowd):
    leaking(clinic, crowd)
    clinic.spend("service_restarts:deployment:c1/shop/web", 3, hours(1), 2)
    clinic.treat()
    assert clinic.deploys.restarts == [WORKLOAD]


# ── dry_run, confidence_floor ────────────────────────────────────────────────────────────────────────────────────────


def test_db_connection_pool_exhaustion__dry_run(clinic, backlog):
    incident = clinic.open()
    clinic.decide(incident)
    clinic.policy = replace(clinic.policy, runbook_dry_run=True)
    clinic.run(incident)
    refused(clinic, incident, "dry_run")
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__dry_run__allowed(clinic, backlog):
    clinic.policy = replace(clinic.policy, runbook_dry_run=False)
    assert clinic.treat().ending == "resolved"
    assert alive(backlog) == 0


def test_db_connection_pool_exhaustion__confidence_floor(clinic, backlog):
    clinic.policy = replace(clinic.policy, floor=92)
    incident = clinic.treat()
    assert incident.reason == "confidence 0.91 is below the floor 0.92"
    refused(clinic, incident, "confidence_floor")
    assert alive(backlog) == 4


def test_db_connection_pool_exhaustion__confidence_floor__allowed(clinic, backlog):
    clinic.policy = replace(clinic.policy, floor=91)
    assert clinic.treat().ending == "resolved"
    assert alive(backlog) == 0
