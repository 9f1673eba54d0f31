"""Plans: flat, stored, bound to what the class and the page allow. Four plans of other pages are said on paper."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byteport.errors import BadRunbook, NotKnown
from byteport.grammar.action import Action, dump_action, load_action
from byteport.grammar.guards import Budget
from byteport.grammar.plan import Await, Do, EndIf, HandOver, Look, Pause, Plan, Undo, until
from byteport.grammar.runbook import LookAgain, Move, Otherwise, Rule
from byteport.model.units import hours, minutes, seconds
from tests.grammar.conftest import BIG_HEAP, LEAK, PRESSED_NODE, TRAFFIC, WITH_HPA, evidence
from tests.grammar.oom_facts import Deploy, Node, Pod
from tests.grammar.oom_page import BUMP, DRAIN, PAGE, OomEvidence, Paper, SetMemoryLimit, Uncordon, raise_limit

sizes = st.integers(min_value=1, max_value=2**40)


@given(limit=sizes, original=sizes, allocatable=sizes)
def test_no_plan_lifts_the_limit_past_its_ceilings(limit: int, original: int, allocatable: int) -> None:
    e = evidence(pod=Pod(limit=limit, original_limit=original), node=Node(allocatable=allocatable))
    for _, step in raise_limit(e).dos:
        assert isinstance(step.action, SetMemoryLimit)
        assert limit < step.action.to <= min(2 * original, 0.8 * allocatable)


def plan_of(**changed: object) -> Plan:
    e = evidence(**changed)  # type: ignore[arg-type]
    return PAGE.plan(PAGE.diagnose(e), e)


def test_each_class_has_its_plan() -> None:
    assert [step.move for _, step in plan_of(**BIG_HEAP).dos] == ["propose"]
    assert plan_of(**BIG_HEAP).end == "escalate"
    assert plan_of(**LEAK) == Plan(end="escalate", reason="memory leak")
    assert isinstance(plan_of(**LEAK, deploy=Deploy(age=minutes(5))).end, HandOver)
    assert [type(step) for step in plan_of(**TRAFFIC, **WITH_HPA).steps] == [Do, Await]
    assert [step.move for _, step in plan_of(**TRAFFIC).dos] == ["bump"]
    drained = next(step for _, step in plan_of(**PRESSED_NODE).dos)
    assert drained.undo is not None
    assert drained.undo.when == "node_ready_for_60s"


def test_a_plan_survives_its_storage_with_the_same_digest() -> None:
    plan = plan_of(**PRESSED_NODE)
    again = Plan.model_validate(json.loads(plan.model_dump_json()))
    assert again == plan
    assert again.digest == plan.digest
    assert [type(action) for action in again.actions] == [DRAIN.action, Uncordon]


def test_a_plan_that_asks_for_a_lost_fact_says_so() -> None:
    e = evidence(missing=("hpa",), **TRAFFIC)
    with pytest.raises(NotKnown, match="hpa"):
        PAGE.plan(PAGE.diagnose(e), e)


def test_an_action_of_another_schema_is_refused() -> None:
    stored = dump_action(Uncordon(node="n1"))
    with pytest.raises(BadRunbook, match="schema 2"):
        load_action({**stored, "schema": 2})
    with pytest.raises(BadRunbook, match="not an action"):
        load_action({**stored, "kind": "nobody:Nothing"})


class Touch(Paper):
    idempotent: ClassVar[bool] = True
    name: str


TOUCH = Move("touch", Touch, (Budget(name="touches", limit=9, per=hours(1)),))


def page_with(rule: Rule) -> object:
    return replace(PAGE, name="other", moves=(*PAGE.moves, TOUCH), rules=(rule,))


@pytest.mark.parametrize(
    ("disposition", "plan", "expected"),
    [
        ("act", Plan(steps=(Do(move="nowhere", action=Touch(name="x")),)), "not a move"),
        ("act", Plan(steps=(Do(move="bump", action=Touch(name="x")),)), "not a move"),
        ("escalate", Plan(steps=(TOUCH(name="x"),)), "changes nothing"),
        ("audit_only", Plan(steps=(TOUCH(name="x"),)), "changes nothing"),
        ("propose_pr", Plan(steps=(TOUCH(name="x"),)), "only proposes"),
        ("act", Plan(steps=(EndIf(check="no_such", end="verify"),)), "no_such"),
        ("act", Plan(steps=(Await(check="node_has_memory_pressure", within=minutes(1)),)), "checks"),
        ("act", Plan(steps=(Look(fields=("weather",)),)), "weather"),
    ],
)
def test_a_step_that_may_not_be_is_bad_runbook(disposition: str, plan: Plan, expected: str) -> None:
    rule = Rule("always", 0.9, disposition, when=lambda _e: True, then=lambda _e: plan)  # type: ignore[arg-type]
    page = page_with(rule)
    with pytest.raises(BadRunbook, match=expected):
        page.plan(page.diagnose(evidence()), evidence())  # type: ignore[attr-defined]


def test_a_prohibition_binds_the_class_it_names() -> None:
    bump = BUMP(workload="deployment:w", container="c", was=1, to=2)
    leak = Rule("genuine_memory_leak", 0.9, "act", when=lambda _e: True, then=lambda _e: Plan(steps=(bump,)))
    page = replace(PAGE, name="other", rules=(leak,))
    with pytest.raises(BadRunbook, match="forbidden in genuine_memory_leak"):
        page.plan(page.diagnose(evidence()), evidence())
    allowed = replace(PAGE, name="other", rules=(replace(leak, name="undersized_limit"),))
    assert len(allowed.plan(allowed.diagnose(evidence()), evidence()).steps) == 1


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"rules": (PAGE.rules[0], PAGE.rules[0])}, "stands twice"),
        ({"moves": (Move("bare", Touch, ()),)}, "at least one guard"),
        ({"checks": {"node_ready_for_60s": ("weather",)}}, "weather"),
        ({"checks": {"no_such": ("node",)}}, "name of a method"),
        ({"otherwise": Otherwise(disposition="act")}, "never acts"),
        ({"rules": (replace(PAGE.rules[4], supported_by=("weather",)),)}, "weather"),
        ({"options": ()}, "stateful_allowlist"),
        ({"look_again": LookAgain(after=hours(1), check="weather", reason="so")}, "look_again"),
        (
            {"look_again": LookAgain(hours(1), "node_ready_for_60s", "so", enough="weather")},
            "look_again",
        ),
    ],
)
def test_a_page_that_contradicts_itself_does_not_load(changes: dict[str, object], where: str) -> None:
    with pytest.raises(BadRunbook, match=where):
        replace(PAGE, **{"never": (), **changes})  # type: ignore[arg-type]


def test_a_field_that_no_probe_fills_is_bad_runbook() -> None:
    class Bare(OomEvidence):
        weather: str

    with pytest.raises(BadRunbook, match="no probe fills"):
        replace(PAGE, evidence=Bare)


# -- four more plans on paper: the grammar is enough ------------------------------------------------------------------


class Sessions(Paper):
    server: str
    how: str


class HostStep(Paper):
    host: str
    what: str


class NodeStep(Paper):
    node: str
    what: str


class CertStep(Paper):
    cert: str
    what: str


def step(action: Action, undo: Undo | None = None) -> Do:
    return Do(move=type(action).__name__, action=action, undo=undo)


def test_replication_lag_cancels_waits_and_only_then_terminates() -> None:
    plan = Plan(
        steps=(
            step(Sessions(server="replica", how="cancel")),
            Pause(length=seconds(60)),
            Look(fields=("activity",)),
            EndIf(check="replay_moves", end="verify"),
            step(Sessions(server="replica", how="terminate")),
        )
    )
    assert [number for number, _ in plan.dos] == [0, 4]
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_disk_space_stops_at_the_floor_after_each_step() -> None:
    dos = [step(HostStep(host="h", what=what)) for what in ("rotate", "compress", "vacuum", "containers", "caches")]
    plan = Plan(
        steps=(*until("under_floor", *dos, look=("mount",)), EndIf(check="at_most_85", end="partial")), end="escalate"
    )
    kinds = [type(one).__name__ for one in plan.steps]
    assert kinds == ["Do", "Look", "EndIf"] * 5 + ["EndIf"]
    assert Plan.model_validate_json(plan.model_dump_json()).digest == plan.digest


def test_node_drain_cordons_with_a_conditional_undo_and_comes_back_only_when_well() -> None:
    back = Undo(action=Uncordon(node="n1"), when="node_ready_for_60s", by=hours(4))
    plan = Plan(
        steps=(
            step(NodeStep(node="n1", what="cordon"), undo=back),
            Await(check="budgets_allow", within=seconds(120), otherwise="go_on"),
            step(NodeStep(node="n1", what="evict")),
            Look(fields=("pods",)),
            EndIf(check="critical_left", end="escalate"),
            Await(check="ready", within=minutes(10), steady=seconds(60)),
            step(Uncordon(node="n1")),
        )
    )
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert sum(isinstance(action, Uncordon) for action in plan.actions) == 2


def test_tls_renewal_backs_up_renews_with_an_undo_reloads_and_looks_from_outside() -> None:
    restore = Undo(
        action=CertStep(cert="shop", what="restore"), when="new_fails_and_old_valid", by=minutes(15), otherwise="drop"
    )
    plan = Plan(
        steps=(
            step(CertStep(cert="shop", what="backup")),
            step(CertStep(cert="shop", what="renew"), undo=restore),
            step(CertStep(cert="shop", what="reload")),
            Pause(length=seconds(10)),
            Look(fields=("served",)),
        )
    )
    again = Plan.model_validate_json(plan.model_dump_json())
    undone = [do.undo for _, do in again.dos]
    assert undone == [None, restore, None]
