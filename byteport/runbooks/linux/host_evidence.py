"""What all pages about hosts look at, and the guard that every one of them has: a host's people must have opted in."""

from __future__ import annotations

from typing import Annotated

from byteport.grammar.evidence import Evidence
from byteport.grammar.guards import Requires
from byteport.model.facts.hosts import HostInventory
from byteport.probes import hosts

KEY = "byteport.io/auto-remediate"


class HostEvidence(Evidence):
    """A host, and what its people have allowed."""

    inventory: Annotated[HostInventory, hosts.inventory]

    @property
    def host(self) -> str:
        """The host's name in the configuration."""
        return hosts.host_of(self.target)


def host_opt_in(word: str) -> Requires:
    """The guard: the host's own file holds `word`."""

    def opted_in(evidence: HostEvidence) -> bool:
        return evidence.inventory.holds(KEY, word)

    opted_in.__doc__ = f"{KEY} in /etc/byteport/host.yaml contains {word}."
    return Requires(name="host_opt_in", as_kind="annotation_gate", condition=opted_in, reads=("inventory",),
                    value=f"{KEY} contains {word}")  # fmt: skip
