"""One target, one hand: what two runbooks may not do at the same time, whatever each of them calls its target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from byteport.actions.deploys import RestartRollout
from byteport.actions.pgbouncer import RaisePoolSize
from byteport.actions.postgres import CancelStatements
from byteport.adapters.ledger.migrations import known_migrations
from byteport.engine import locks
from byteport.engine.policy import Policy
from byteport.grammar.plan import Do, Plan
from byteport.grammar.runbook import Runbook
from byteport.model.target import Target, TargetKind
from byteport.runbooks.database.db_connection_pool_exhaustion import RUNBOOK as POOL
from tests.contracts.conftest import Kick, World, once
from tests.grammar.oom_page import PAGE as OOM
from tests.grammar.oom_page import DrainNode, SetMemoryLimit, Uncordon

WEB, OTHER = "deployment:prod/shop/web", "deployment:prod/shop/mail"
PLENTY = Policy(max_concurrent=100)


@dataclass(frozen=True)
class Hand:
    """A page that is about to do something to a target."""

    page: Runbook
    kind: TargetKind
    key: str
    action: Any
    within: tuple[str, ...] = ()

    def takes(self, world: World, name: str) -> str | None:
        """Its locks; the name that stood in the way, or None."""
        _, lease = world.acting(name)
        plan = Plan(steps=(Do(move=next(m.name for m in self.page.moves if isinstance(self.action, m.action)),
                              action=self.action),))  # fmt: skip
        target = Target(kind=self.kind, key=self.key, within=self.within)
        conflict = world.ledger.take_locks(lease, locks.wanted(self.page, target, plan, PLENTY, 1000))
        return conflict.key if conflict else None


def bump(pod: str, workload: str, node: str) -> Hand:
    action = SetMemoryLimit(workload=workload, container="web", was=1, to=2)
    return Hand(OOM, TargetKind.POD, f"prod/shop/{pod}", action, (workload, f"node:{node}"))


def drain(node: str, *workloads: str) -> Hand:
    return Hand(OOM, TargetKind.NODE, node, DrainNode(node=node, workloads=workloads), ("cluster:prod",))


def cancel(database: str = "db1/shop") -> Hand:
    action = CancelStatements(database=database, server="db1", sessions=())
    return Hand(POOL, TargetKind.DATABASE, database, action, ("server:db1",))


def restart(workload: str = "prod/shop/Deployment/web") -> Hand:
    action = RestartRollout(workload=workload, revision="7")
    return Hand(POOL, TargetKind.DATABASE, "db1/shop", action, ("server:db1",))


def raise_pool() -> Hand:
    action = RaisePoolSize(database="db1/shop", server="db1", was=1, to=2)
    return Hand(POOL, TargetKind.DATABASE, "db1/shop", action, ("server:db1",))


def on_deployment(key: str = "prod/shop/web") -> Hand:
    """A page whose target is the workload itself."""
    action = SetMemoryLimit(workload=f"deployment:{key}", container="web", was=1, to=2)
    return Hand(OOM, TargetKind.DEPLOYMENT, key, action)


@pytest.mark.parametrize(
    ("first", "second", "in_the_way"),
    [
        pytest.param(bump("web-1", WEB, "n1"), bump("web-1", WEB, "n1"), WEB, id="same pod"),
        pytest.param(bump("web-1", WEB, "n1"), bump("web-2", WEB, "n2"), WEB, id="two pods of one workload"),
        pytest.param(bump("web-1", WEB, "n1"), drain("n1", OTHER), "node:n1", id="the pod's node is drained"),
        pytest.param(drain("n1", OTHER), bump("web-1", WEB, "n1"), "node:n1", id="limit after the drain began"),
        pytest.param(bump("web-1", WEB, "n2"), drain("n1", WEB), WEB, id="the drained node has pods of the workload"),
        pytest.param(drain("n1", WEB), bump("web-1", WEB, "n2"), WEB, id="limit of a workload on the drained node"),
        pytest.param(drain("n1", WEB), drain("n2", OTHER), "node_drain:cluster-1", id="two drains of one cluster"),
        pytest.param(restart(), on_deployment(), WEB, id="a database's page restarts a deployment that is a target"),
        pytest.param(on_deployment(), restart(), WEB, id="and the other way round"),
        pytest.param(cancel(), raise_pool(), "database:db1/shop", id="sessions of a database and its pooler"),
    ],
)  # fmt: skip
def test_related_targets_are_not_in_two_hands(world: World, first: Hand, second: Hand, in_the_way: str) -> None:
    assert first.takes(world, "db-1") is None
    assert second.takes(world, "db-2") == in_the_way


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(bump("web-1", WEB, "n1"), bump("mail-1", OTHER, "n1"), id="two workloads on one node"),
        pytest.param(bump("web-1", WEB, "n2"), drain("n1", OTHER), id="another node, another workload"),
        pytest.param(cancel(), cancel("db1/mail"), id="two databases of one server"),
        pytest.param(restart(), on_deployment("prod/shop/mail"), id="another deployment"),
    ],
)
def test_unrelated_targets_are_treated_at_once(world: World, first: Hand, second: Hand) -> None:
    assert first.takes(world, "db-1") is None
    assert second.takes(world, "db-2") is None


def test_an_undo_keeps_away_from_whom_it_concerns(world: World) -> None:
    node = Target(kind=TargetKind.NODE, key="n1")
    (_, lease), (_, other) = world.acting("db-1"), world.acting("db-2")
    assert world.ledger.take_locks(lease, locks.of_undo(node, Uncordon(node="n1"))) is None
    page_and_plan = OOM, Plan(steps=(Do(move="drain", action=DrainNode(node="n1")),))
    wanted = locks.wanted(page_and_plan[0], node, page_and_plan[1], PLENTY, 1000)
    conflict = world.ledger.take_locks(other, wanted)
    assert conflict is not None
    assert conflict.key == "node:n1"


def test_what_was_stored_under_older_names_counts_under_the_new_ones(world: World) -> None:
    incident, lease = world.acting()
    older = {
        "pgbouncer_reload:pooler of db1:5433/app": "pgbouncer_reload:pooler:db1:5433/app",
        "service_restarts:prod/shop/Deployment/web": f"service_restarts:{WEB}",
        "db_kills:db1:5433": "db_kills:db1:5433",
        "service_restarts:deployment:prod/shop/mail": f"service_restarts:{OTHER}",
    }
    world.intent(incident, lease, *(once(key) for key in older))
    world.sql("update byteport.intents set subject = 'localhost:5433/shop', "
              "action = jsonb_set(action, '{kind}', '\"byteport.actions.postgres:EndIdleSessions\"')")  # fmt: skip
    world.sql("insert into byteport.targets values ('database', 'db1/shop', '{db1:5433}', '{}', now(), now()),"
              "('pod', 'web', '{shop,node:n1}', '{}', now(), now())")  # fmt: skip
    before = world.sql("select epoch from byteport.budgets_epoch")
    renames = next(migration for migration in known_migrations() if migration.name == "0010_names.sql")
    world.sql(renames.sql.replace("%", "%%"))
    assert {row["claim_key"] for row in world.sql("select claim_key from byteport.spends")} == set(older.values())
    assert world.sql("select subject from byteport.intents") == [{"subject": "database:localhost:5433/shop"}]
    places = world.sql("select within from byteport.targets order by key")
    assert [row["within"] for row in places] == [["server:db1:5433"], ["node:n1"]]
    assert world.sql("select epoch from byteport.budgets_epoch")[0]["epoch"] > before[0]["epoch"]


def test_names_that_are_not_in_full_are_refused_and_a_databases_bare_server_is_understood() -> None:
    assert Target(kind=TargetKind.DATABASE, key="db1/shop", within=("localhost:5433",)).within == (
        "server:localhost:5433",
    )
    with pytest.raises(ValueError, match="kind:key is expected"):
        Target(kind=TargetKind.POD, key="web", within=("shop",))
    assert Kick().subject == "session:7"
