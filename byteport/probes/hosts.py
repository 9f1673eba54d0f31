"""What every page about hosts asks first."""

from __future__ import annotations

from byteport.grammar.evidence import probe
from byteport.model.facts.hosts import HostInventory
from byteport.model.target import Target, TargetKind
from byteport.ports import Readers


def host_of(target: Target) -> str:
    """The host's name in the configuration; the target may be a part of it. Of a service (NAME@HOST) its key alone says
    where it is, for its locks and budgets are kept by that."""
    if target.kind is TargetKind.SERVICE and "@" in target.key:
        return target.key.rpartition("@")[2]
    return target.coordinates.get("host") or target.part_of("host") or target.key


@probe(over="host")
def inventory(target: Target, readers: Readers) -> HostInventory:
    """What the host's people have allowed in /etc/byteport/host.yaml."""
    return readers.inventories.inventory(host_of(target))
