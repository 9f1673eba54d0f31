"""`oomkilled_memory_pressure` and four more plans, written in the grammar's words before anything was built on them."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Any, ClassVar

from byteport.grammar.action import Action, Effect, Marked
from byteport.grammar.evidence import Evidence
from byteport.grammar.guards import Allowlist, Budget, Ceiling, Lock, Never, Requires, SkipIf
from byteport.grammar.plan import Await, HandOver, Plan, Undo
from byteport.grammar.runbook import Check, Escalation, Move, OnSignal, Option, Rule, Runbook
from byteport.grammar.truth import all_of, not_
from byteport.model.target import TargetKind
from byteport.model.units import hours, minutes, seconds
from byteport.ports import Readers, Writers
from tests.grammar.oom_facts import (
    Deploy,
    Hpa,
    Node,
    Pod,
    Runtime,
    Series,
    hpa_lookup,
    node_memory,
    pod_describe,
    prometheus_series,
    recent_deploy,
    runtime_hints,
)


class OomEvidence(Evidence):
    """What we look at, and how we read it."""

    pod: Annotated[Pod, pod_describe]
    node: Annotated[Node, node_memory]
    hpa: Annotated[Hpa | None, hpa_lookup]
    deploy: Annotated[Deploy | None, recent_deploy]
    runtime: Annotated[Runtime, runtime_hints]
    series: Annotated[Series, prometheus_series]

    def heap_exceeds_limit(self) -> bool:
        """The runtime may grow its heap beyond the container's limit."""
        return self.runtime.heap is not None and self.runtime.heap > self.runtime.container_limit

    def node_has_memory_pressure(self) -> bool:
        """The node is short of memory."""
        return self.node.memory_pressure

    def pod_is_well_within_limit(self) -> bool:
        """The pod uses less than 70 % of its limit."""
        return self.pod.usage < 0.70

    def rises_through_restarts(self) -> bool:
        """RSS rose in three or more lives of the container."""
        slopes = self.series.rss_slope_per_restart
        return len(slopes) >= 3 and all(slope > 0 for slope in slopes)

    def follows_traffic(self) -> bool:
        """RSS goes up and down with requests per second."""
        return self.series.correlation_with_rps >= 0.80

    def plateaus_near_limit(self) -> bool:
        """RSS levels off at 85 % of the limit or more."""
        return self.series.plateau >= 0.85

    def twice_original(self) -> int:
        return 2 * self.pod.original_limit

    def most_of_the_node(self) -> int:
        return int(0.80 * self.node.allocatable)

    def ready(self) -> bool:
        """The pod is Ready."""
        return self.pod.ready

    def working_set_below_80(self) -> bool:
        """The working set is below 80 % of the limit."""
        return self.pod.usage < 0.80

    def node_ready_for_60s(self) -> bool:
        """The node has been Ready for 60 s."""
        return self.node.ready_for >= seconds(60)

    def more_replicas_ready(self) -> bool:
        """More replicas are Ready than before."""
        assert self.hpa is not None
        return self.hpa.ready > self.before.hpa.ready


class Paper(Action):
    """An action on paper: a name and what it is about."""

    idempotent: ClassVar[bool] = True
    noun: ClassVar[str] = "paper"

    @property
    def subject(self) -> str:
        fields = self.model_dump()
        return f"{self.noun}:{'/'.join(str(value) for value in fields.values())}"

    @property
    def write_scope(self) -> str:
        return "cluster"

    def preview(self, readers: Readers) -> str:
        return f"{type(self).__name__} {self.subject}"

    def holds(self, readers: Readers, intent: Marked) -> bool | None:
        return None

    def apply(self, writers: Writers, intent: Marked) -> Effect:
        return Effect()


class ProposeChange(Paper):
    verbs: ClassVar[tuple[str, ...]] = ("propose",)
    workload: str
    title: str
    body: str


class DrainNode(Paper):
    """`workloads` have pods on the node: whoever holds one of them is not drained from under."""

    node: str
    workloads: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return f"node:{self.node}"

    @property
    def within(self) -> tuple[str, ...]:
        return self.workloads


class Uncordon(Paper):
    noun: ClassVar[str] = "node"
    node: str


class RaiseHpaMinimum(Paper):
    noun: ClassVar[str] = "hpa"
    namespace: str
    hpa: str
    to: int


class SetMemoryLimit(Paper):
    workload: str
    container: str
    was: int
    to: int

    @property
    def subject(self) -> str:
        return self.workload


def is_stateful(action: Any) -> bool:
    return str(action.workload).startswith("statefulset:")


def cluster(_action: Action) -> str:
    return "cluster-1"


PROPOSE = Move("propose", ProposeChange, (Budget(name="proposal_rate", limit=1, per=hours(24)),))
DRAIN = Move("drain", DrainNode, (Lock(name="node_drain_lock", counter="node_drain", scope=cluster),), undo=Uncordon)
SCALE_OUT = Move("scale_out", RaiseHpaMinimum, (Budget(name="hpa_min_raise", limit=1, per=hours(1)),))
BUMP = Move(
    "bump",
    SetMemoryLimit,
    (
        Ceiling(name="memory_ceiling", field="to", at_most=OomEvidence.twice_original, reads=("pod",)),
        Ceiling(name="allocatable_ceiling", field="to", at_most=OomEvidence.most_of_the_node, reads=("node",)),
        Allowlist(name="stateful_allowlist", option="stateful_allowlist", applies=is_stateful),
        Budget(
            name="memory_bump_rate", limit=1, per=hours(24), counter="memory_limit_bump", scope=attrgetter("subject")
        ),
    ),
)


def propose_heap_fix(e: OomEvidence) -> Plan:
    fix = PROPOSE(workload=e.pod.workload, title="Set the heap below the limit", body=f"heap {e.runtime.heap}")
    return Plan(steps=(fix,), end="escalate")


def empty_the_node(e: OomEvidence) -> Plan:
    back = Undo(action=Uncordon(node=e.node.name), when="node_ready_for_60s", by=hours(4))
    return Plan(steps=(DRAIN(node=e.node.name, workloads=(e.pod.workload,), undo=back),))


def report_leak(e: OomEvidence) -> Plan:
    if e.deploy is not None and e.deploy.age < minutes(30):
        return Plan(end=HandOver(runbook="failed_deploy_auto_rollback", reason="leak since the last deploy"))
    return Plan(end="escalate", reason="memory leak")


def make_room_for_traffic(e: OomEvidence) -> Plan:
    if e.hpa is None or e.hpa.current >= e.hpa.maximum:
        return raise_limit(e)
    to = min(e.hpa.current + 2, e.hpa.maximum)
    grow = SCALE_OUT(namespace=e.pod.namespace, hpa=e.hpa.name, to=to)
    return Plan(steps=(grow, Await(check="more_replicas_ready", within=minutes(3))))


def raise_limit(e: OomEvidence) -> Plan:
    to = min(e.pod.limit * 3 // 2, e.twice_original(), e.most_of_the_node())
    if to <= e.pod.limit:
        return Plan(end="escalate", reason="the memory limit is already at its ceiling")
    return Plan(steps=(BUMP(workload=e.pod.workload, container=e.pod.container, was=e.pod.limit, to=to),))


PAGE = Runbook(
    name="oomkilled_on_paper",
    title="Pod OOM kills",
    category="kubernetes",
    summary="The page of the design, as a test of the grammar.",
    signals=(OnSignal("pod_oom_killed", threshold="termination reason OOMKilled"),),
    target=TargetKind.POD,
    target_key="namespace/workload/container",
    evidence=OomEvidence,
    checks={"node_ready_for_60s": ("node",), "more_replicas_ready": ("hpa",)},
    moves=(PROPOSE, DRAIN, SCALE_OUT, BUMP),
    guards=(SkipIf(name="skip_annotation", key="byteport.io/skip-memory-remediation"),),
    never=(
        Never(name="leak_never_bumped", move="bump", in_class="genuine_memory_leak"),
        Never(name="misconfig_pr_only", move="bump", in_class="runtime_misconfig"),
    ),
    rules=(
        Rule("runtime_misconfig", 0.93, "propose_pr", when=OomEvidence.heap_exceeds_limit, then=propose_heap_fix),
        Rule(
            "node_pressure", 0.88, "act",
            when=all_of(OomEvidence.node_has_memory_pressure, OomEvidence.pod_is_well_within_limit), then=empty_the_node,
        ),
        Rule(
            "genuine_memory_leak", 0.85, "escalate",
            when=all_of(OomEvidence.rises_through_restarts, not_(OomEvidence.follows_traffic)), then=report_leak,
        ),
        Rule("traffic_spike", 0.86, "act", when=OomEvidence.follows_traffic, then=make_room_for_traffic),
        Rule(
            "undersized_limit", 0.84, "act", when=OomEvidence.plateaus_near_limit, then=raise_limit,
            supported_by=("deploy",),
        ),
    ),
    verify=(
        Check("pod Ready", OomEvidence.ready, needs=("pod",), within=minutes(5)),
        Check("working set < 80 %", OomEvidence.working_set_below_80, needs=("pod",), after=minutes(5)),
    ),
    escalate=Escalation(channels=("postmark", "slack"), once_per=hours(24), per=("pod", "classification")),
    permissions={"kubernetes": ("pods get", "deployments patch")},
    options=(Option("stateful_allowlist", (), "StatefulSets that may be touched"),),
)  # fmt: skip

NODE_IS_STEADY = Requires(name="ready", condition=OomEvidence.node_ready_for_60s, reads=("node",))
