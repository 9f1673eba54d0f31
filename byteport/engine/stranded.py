"""What no worker can move, since nobody has its runbook any more, is told plainly and left to people."""

from __future__ import annotations

from collections.abc import Sequence

from byteport.engine.policy import Policy
from byteport.records.delivery import Message
from byteport.stores import Ledger
from byteport.stores_abandoned import Stranded


def leave_to_people(ledger: Ledger, runbooks: Sequence[str], policy: Policy) -> None:
    """On the fallback channel, for the channels of a page went with it. Raises Unavailable (ledger)."""
    for stranded in ledger.stranded(runbooks):
        reason = _reason(stranded)
        ledger.leave_to_people(stranded.incident, reason, (_message(stranded, reason, policy),))


def _reason(stranded: Stranded) -> str:
    left = f"; what is left is yours: {', '.join(stranded.left)}" if stranded.left else ""
    return f"no worker has the runbook {stranded.runbook} any more{left}"


def _message(stranded: Stranded, reason: str, policy: Policy) -> Message:
    return Message(
        kind="escalation",
        channel=policy.fallback_channel,
        dedup_key=f"escalation|{stranded.runbook}|stranded",
        severity=str(stranded.severity),
        dry_run=stranded.dry_run,
        title=f"{stranded.runbook}: {stranded.target} is left to people",
        text=reason,
        link=f"{policy.base_url.rstrip('/')}/incidents/{stranded.incident}",
    )
