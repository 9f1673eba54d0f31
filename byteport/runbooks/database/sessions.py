"""What the pages about database sessions have in common: who is spared, and who was cancelled a moment ago."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from byteport.actions.postgres import SessionAction
from byteport.grammar.action import Action
from byteport.grammar.evidence import Evidence
from byteport.grammar.guard import Facts
from byteport.grammar.guards import Cooldown
from byteport.grammar.verdict import Claim
from byteport.model.facts.database import Session, SessionRef

ALWAYS_SPARED = ("pgbouncer", "admin-proxy", "pgadmin")
BACKUPS = ("pg_dump", "pg_restore")
"""Spared too: a backup is long and holds one slot; ending it costs a night and frees nothing."""


def spared_words(evidence: Evidence) -> tuple[str, ...]:
    """The built-in words, and those that the configuration of this database adds; it can take none away."""
    added: Iterable[Any] = evidence.options.get("allowlist") or ()
    return (*ALWAYS_SPARED, *BACKUPS, *(str(word) for word in added))


def where(evidence: Evidence) -> dict[str, Any]:
    """The target database, and the server whose slots it shares."""
    target = evidence.target
    return {"database": target.key, "server": target.part_of("server") or target.key}


def place(evidence: Evidence) -> dict[str, Any]:
    """What every action on sessions is told beside its sessions."""
    return {**where(evidence), "spared": spared_words(evidence)}


def may_be_ended(session: Session, words: Iterable[str]) -> bool:
    """Neither a superuser, nor spared, nor with work to lose that keeps nobody waiting."""
    return not (session.superuser or session.spared_by(words) or session.may_lose_work)


def seen(member: SessionRef, facts: Facts) -> Session | None:
    """The session in the newest evidence, or None where it has gone on since. Raises NotKnown without evidence."""
    told: Any = facts.evidence
    listed = told.wait_events.queries if member.query_start else told.state_breakdown.idle_sessions
    return next((session for session in listed if session.ref == member.with_(query_start=None)), None)


def is_spared(member: SessionRef, facts: Facts) -> str:
    """Why the allowlist protects it; one that has gone on is left to the server, which compares the live row."""
    session = seen(member, facts)
    word = session.spared_by(spared_words(facts.evidence)) if session is not None else ""
    return f"spared as {word!r}" if word else ""


def is_superuser(member: SessionRef, facts: Facts) -> str:
    """Why the superuser check protects it."""
    session = seen(member, facts)
    return f"{session.user} is a superuser" if session is not None and session.superuser else ""


def server_of(action: Action) -> str:
    return action.write_scope


@dataclass(frozen=True, kw_only=True)
class SessionCooldown(Cooldown):
    """One signal for each session, and then none for `per`: a cancel is given that long before the session is ended."""

    per: timedelta | None = timedelta(seconds=60)

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        sessions = action.sessions if isinstance(action, SessionAction) else ()
        counter = self.counter or f"{facts.runbook}.{self.name}"
        return tuple(
            Claim.window(
                f"{counter}:{action.write_scope}:{session.pid}:{session.backend_start.isoformat()}",
                limit=self.limit, per=self.per or timedelta(0), guard=self.name, kind=self.kind, on_hit=self.on_hit,
            )
            for session in sessions
        )  # fmt: skip
