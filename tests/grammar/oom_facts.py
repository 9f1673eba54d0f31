"""What the page on paper looks at."""

from __future__ import annotations

from datetime import timedelta

from byteport.grammar.evidence import probe
from byteport.model.base import Value
from byteport.model.target import Target
from byteport.model.units import hours, minutes
from byteport.ports import Readers


class Pod(Value):
    """Restart count, limits, working set."""

    workload: str = "deployment:shop/shop/web"
    namespace: str = "shop"
    container: str = "web"
    limit: int = 512
    original_limit: int = 512
    usage: float = 0.9
    ready: bool = True


class Node(Value):
    name: str = "n1"
    allocatable: int = 8192
    memory_pressure: bool = False
    ready_for: timedelta = minutes(5)


class Hpa(Value):
    name: str = "shop"
    current: int = 2
    maximum: int = 6
    ready: int = 2


class Deploy(Value):
    age: timedelta = hours(20)


class Runtime(Value):
    source: str = "JAVA_TOOL_OPTIONS"
    heap: int | None = None
    container_limit: int = 512


class Series(Value):
    rss_slope_per_restart: tuple[float, ...] = ()
    correlation_with_rps: float = 0.0
    plateau: float = 0.9


@probe(over="kubernetes")
def pod_describe(target: Target, readers: Readers) -> Pod:
    """Restart count, limits, exit reason."""
    return Pod()


@probe(over="kubernetes")
def node_memory(target: Target, readers: Readers) -> Node:
    """Memory of the pod's node."""
    return Node()


@probe(over="kubernetes")
def hpa_lookup(target: Target, readers: Readers) -> Hpa | None:
    """The workload's autoscaler."""
    return None


@probe(over="kubernetes")
def recent_deploy(target: Target, readers: Readers) -> Deploy | None:
    """Age of the last deploy."""
    return None


@probe(over="kubernetes")
def runtime_hints(target: Target, readers: Readers) -> Runtime:
    """Heap settings of the runtime."""
    return Runtime()


@probe(over="prometheus")
def prometheus_series(target: Target, readers: Readers) -> Series:
    """Trend and request rate."""
    return Series()
