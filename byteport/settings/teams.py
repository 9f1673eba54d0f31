"""Teams: which signals are whose, and where that team is told instead of everybody."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from byteport.model.target import Key, Text
from byteport.settings.channels import ChannelsSection
from byteport.settings.section import Section

TeamName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class TeamSection(Section):
    """One team. A channel that it does not name is everybody's."""

    services: tuple[Annotated[str, StringConstraints(min_length=1, max_length=253)], ...] = Field(
        default=(), max_length=500
    )
    """Services that are its: the label `service` or `app` of a signal, or the key of a target that is a service."""
    match: dict[Key, Text] = Field(default_factory=dict, max_length=32)
    """Labels of the signal, or runbook, target, kind, signal and source, as in `byteport silence`; all must agree."""
    channels: ChannelsSection = Field(default_factory=ChannelsSection)
    """Where it is told, as under `channels`."""

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if not self.services and not self.match:
            raise ValueError("services or match: a team that nothing selects is told nothing")
        return self

    def owns(self, facts: dict[str, str]) -> bool:
        """Whether a signal with these facts is its."""
        named = {facts.get("service", ""), facts.get("app", "")}
        named |= {facts.get("target", "")} if facts.get("kind") == "service" else set()
        by_labels = bool(self.match) and all(facts.get(name) == value for name, value in self.match.items())
        return by_labels or bool(named & set(self.services))
