"""What an explanation needs beside the record: the ledger's time now, and what people have configured by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.grammar.evidence import fields_of
from byteport.model.confidence import CONFIDENCE_FLOOR
from byteport.model.signal import Mode
from byteport.shown.record import Record
from byteport.stores import Ledger


@dataclass(frozen=True)
class Outlook:
    """`floor` counts where the record has none of its own; `switch` names an explicit one that forbids acting; `probes`
    are the names of the fields' probes."""

    now: datetime
    floor: int = CONFIDENCE_FLOOR
    mode: Mode = Mode.DRY_RUN
    switch: str = ""
    probes: Mapping[str, str] = field(default_factory=dict)


def outlook_of(record: Record, ledger: Ledger, pages: Pages, policy: Policy) -> Outlook:
    """As it is now, also where the page is not installed here. Raises Unavailable."""
    runbook = record.incident.runbook
    page = pages.by_name.get(runbook)
    promotion = next((row for row in ledger.promotions() if row.runbook == runbook), None)
    return Outlook(
        now=ledger.now(),
        floor=policy.floor_of(page) if page is not None else policy.floor,
        mode=policy.mode_of(runbook, promotion),
        switch=policy.forbidding_switch(runbook),
        probes={name: spec.probe.name for name, spec in fields_of(page.evidence).items()} if page is not None else {},
    )
