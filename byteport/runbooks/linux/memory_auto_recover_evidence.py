"""What the page on recovering memory by a restart looks at, and how it reads it."""

from __future__ import annotations

from typing import Annotated

from byteport.model.facts.memory import Audit, Meminfo, TopMemory
from byteport.model.facts.services import Release, Restarts, Runtime
from byteport.model.facts.system_units import SystemUnit, denied
from byteport.probes import memory, services
from byteport.runbooks.linux.host_evidence import HostEvidence

EXHAUSTED_PCT = 90
STATEFUL = (
    "postgres", "mysql", "mariadb", "mongo", "redis", "valkey", "keydb", "memcached", "elasticsearch", "opensearch",
    "cassandra", "scylla", "clickhouse", "influx", "etcd", "zookeeper", "kafka", "rabbitmq", "nats", "pulsar", "consul",
    "vault", "minio", "ceph", "gluster", "couch", "neo4j", "prometheus", "victoria", "oracle", "mssql", "slapd",
)  # fmt: skip


class RecoverEvidence(HostEvidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    runtime_env: Annotated[Runtime, services.runtime_env]
    proc_meminfo: Annotated[Meminfo, memory.proc_meminfo]
    top_memory: Annotated[TopMemory, services.top_memory]
    consumer_kind: Annotated[SystemUnit | None, services.consumer_kind]
    recent_deploys: Annotated[Release, services.recent_deploys]
    restart_history: Annotated[Restarts, services.restart_history]
    audit: Annotated[Audit, memory.audit]

    def runs_on_systemd(self) -> bool:
        """It is a system service of a host, which systemctl restarts."""
        return self.runtime_env.platform == "systemd"

    def has_credentials(self) -> bool:
        """renderServiceId and renderApiKey are set, where it runs on Render."""
        return self.runtime_env.platform != "render" or bool(self.runtime_env.service)

    def is_exhausted(self) -> bool:
        """Less than 10 % of the host's memory can be had."""
        return self.proc_meminfo.used_pct > EXHAUSTED_PCT

    def is_the_largest(self) -> bool:
        """It is the service that holds most of the host's memory."""
        largest = self.top_memory.consumers[0]
        return largest.unit == self.unit

    def is_managed(self) -> bool:
        """It is labelled or listed as one that may be restarted; one that keeps data must be listed."""
        return not self.unmanaged

    def was_released_lately(self) -> bool:
        """What it runs was changed within deployLookbackMinutes."""
        age = self.recent_deploys.age
        return age is not None and age < float(self.options.get("deployLookbackMinutes", 60)) * 60

    def is_in_a_loop(self) -> bool:
        """crashLoopMaxRestarts restarts in crashLoopWindowMs, by its service manager or by BytePort."""
        return self.loops >= self.most_restarts

    def is_below_the_threshold(self) -> bool:
        """Less of the memory is used than recoveryThresholdPct says."""
        return self.proc_meminfo.used_pct < self.threshold

    def is_still_above(self) -> bool:
        """As much of the memory is used as recoveryThresholdPct says, or more."""
        return not self.is_below_the_threshold()

    def is_healthy(self) -> bool:
        """The service runs, and its service manager has not had to start it again."""
        found = self.consumer_kind
        return found is not None and found.active == "active" and not found.restarts

    @property
    def unit(self) -> str:
        return services.unit_of(self.target)

    @property
    def threshold(self) -> float:
        return float(self.options.get("recoveryThresholdPct", 80))

    @property
    def most_restarts(self) -> int:
        return min(2, int(self.options.get("crashLoopMaxRestarts", 2)))

    @property
    def window_seconds(self) -> float:
        return float(self.options.get("crashLoopWindowMs", 1_800_000)) / 1000

    @property
    def loops(self) -> int:
        """Restarts in the window. When the service manager made its own is not told: all of them count, unless the
        service has run for longer than the window since."""
        told = self.restart_history
        up = told.up_seconds
        automatic = 0 if up is not None and up > self.window_seconds else told.automatic
        ours = [one for one in told.ours if (self.looked_at - one.at).total_seconds() <= self.window_seconds]
        return automatic + len(ours)

    @property
    def unmanaged(self) -> str:
        """Why it may not be restarted; empty where it may."""
        return why_unmanaged(self, self.unit)


def why_unmanaged(e: RecoverEvidence, unit: str) -> str:
    found = e.consumer_kind
    if found is None:
        return f"{unit} is no service that its host knows"
    if why := denied(unit, found.command):
        return why
    listed = {str(name) for name in e.options.get("restartAllowed") or ()}
    stem = unit.removesuffix(".service")
    if listed & {unit, stem, f"{unit}@{e.host}", f"{stem}@{e.host}"}:
        return ""
    if kept := next((known for known in STATEFUL for name in (unit, found.command) if known in name.lower()), ""):
        return f"{unit} keeps data ({kept}), and does not stand in restartAllowed"
    if found.is_opted_in:
        return ""
    return found.why or f"{unit} does not carry byteport.restart=safe, and does not stand in restartAllowed"
