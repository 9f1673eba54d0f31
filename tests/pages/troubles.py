"""What befalls the clinic's patient, and how far an incident of it is taken."""

from __future__ import annotations

from byteport.model.facts.deploys import DeployCorrelation, Rollout
from byteport.records.incident import Phase
from tests.crowd import is_alive
from tests.pages.clinic import KEY
from tests.servers import eventually

LIVE = Rollout(revision="7", replicas=3, ready=3, updated=3, max_surge="25%", max_unavailable="25%")


def leaking(clinic, crowd, **changes):
    """Sessions that leak more and more since the deploy, none older than five minutes."""
    clinic.deploys.deploy = DeployCorrelation(
        **{"sha": "abc1234", "workload": "c1/shop/deployment/web", "age_seconds": 240, "replicas": 3, "revision": "7",
           "applications": ("web",), **changes}
    )  # fmt: skip
    clinic.deploys.live = LIVE
    leaked = crowd.idle_in_transaction(2)
    oldest(clinic, 120, 2)
    leaked += crowd.idle_in_transaction(3)
    oldest(clinic, 30, 5)
    clinic.lapse.freeze()
    return leaked


def oldest(clinic, seconds, n=1):
    """Wait until `n` sessions are idle in transaction, or run, for so long by the patient's lapsing time."""
    database = clinic.lapse

    def are_old() -> bool:
        sessions = (*database.state_breakdown(KEY).idle_sessions, *database.wait_events(KEY).queries)
        return sum(max(s.state_seconds, s.query_seconds or 0) > seconds for s in sessions if s.state != "idle") >= n

    eventually(are_old, within=15)


def alive(people) -> int:
    return sum(is_alive(one) for one in people)


def planned(clinic) -> str:
    """An incident with its frozen plan, before the first write; its evidence is old enough to be looked at again."""
    incident = clinic.open()
    assert clinic.decide(incident).phase is Phase.ACT
    clinic.let_a_minute_pass()
    return incident


def refused(clinic, incident, guard) -> None:
    assert clinic.refusals(incident)[-1] == guard
