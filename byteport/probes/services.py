"""Looks at one service of a host, NAME@HOST, with or without .service at the name's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from byteport.grammar.evidence import probe, probe_with_options
from byteport.model.facts.memory import TopMemory
from byteport.model.facts.services import Release, Restarts, Runtime
from byteport.model.facts.system_units import SystemUnit
from byteport.model.target import Target
from byteport.model.units import minutes, seconds
from byteport.ports import Readers
from byteport.probes.hosts import host_of

ELSEWHERE = ("render", "kubernetes")
SLOW = seconds(18)


def unit_of(target: Target) -> str:
    """The system service that a target is."""
    name = target.key.rpartition("@")[0] or target.key
    return name if name.endswith(".service") else f"{name}.service"


@probe(over="host")
def top_memory(target: Target, readers: Readers) -> TopMemory:
    """Who holds the host's memory."""
    return readers.memory.top(host_of(target))


@probe(over="host", timeout=SLOW)
def consumer_kind(target: Target, readers: Readers) -> SystemUnit | None:
    """The service as its host's service manager knows it, and what its files allow."""
    return readers.system_units.unit(host_of(target), unit_of(target))


@probe(over="host")
def recent_deploys(target: Target, readers: Readers) -> Release:
    """When what the service runs was changed last."""
    return readers.releases.newest(host_of(target), unit_of(target))


@probe(over="host", timeout=SLOW)
def restart_history(target: Target, readers: Readers) -> Restarts:
    """How often the service was restarted: by its service manager, and by BytePort in the last hour."""
    host, unit = host_of(target), unit_of(target)
    found, ours = readers.system_units.unit(host, unit), readers.past.restarts_of(host, unit, minutes(60))
    if found is None:
        return Restarts(ours=ours)
    return Restarts(automatic=found.restarts or 0, up_seconds=found.up_seconds, ours=ours)


@probe_with_options(over="host", timeout=SLOW)
def runtime_env(target: Target, readers: Readers, options: Mapping[str, Any]) -> Runtime:
    """Where the service runs, and so by what it can be restarted."""
    told = target.coordinates.get("platform", "")
    if told in ELSEWHERE or "namespace" in target.coordinates:
        platform = told if told in ELSEWHERE else "kubernetes"
        service = str(options.get("renderServiceId", "")) if platform == "render" else ""
        return Runtime.model_validate({"platform": platform, "service": service, "why": "so says the signal"})
    if readers.system_units.unit(host_of(target), unit_of(target)) is not None:
        return Runtime(platform="systemd", service=unit_of(target))
    return Runtime(platform="unknown", why=f"{host_of(target)} has no system service {unit_of(target)}")
