"""The guards that stand before every page's own. Anything they cannot read denies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from byteport.engine.policy import Policy
from byteport.grammar.action import Action
from byteport.grammar.guards import Budget, Facts, Guard, scope_of
from byteport.grammar.verdict import Claim, OnHit, Verdict
from byteport.model.signal import Mode

NO_UNDO = "does not bind an undo"


@dataclass(frozen=True, kw_only=True)
class KillSwitch(Guard):
    """Nothing is paused: not the fleet, not this runbook, not this process, not this host."""

    kind: ClassVar[str] = "forbidden"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if not facts.paused:
            return self.allow("nothing is paused")
        return self.deny(f"paused: {facts.paused}", lifts=facts.resumes)


@dataclass(frozen=True, kw_only=True)
class LiveMode(Guard):
    """The mode still allows writing; a switch to dry run during a run is a refusal."""

    kind: ClassVar[str] = "dry_run"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if facts.mode is not Mode.DRY_RUN:
            return self.allow(current=facts.mode)
        lifts = f"once {facts.runbook} is live again"
        return self.deny(f"the mode is {facts.mode} by now", current=facts.mode, lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class Asked(Guard):
    """Where the mode is `approve`, also where it has become so during a run, a person has released the plan."""

    kind: ClassVar[str] = "dry_run"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if facts.mode is not Mode.APPROVE or facts.asked:
            return self.allow("a person has released the plan" if facts.asked else "", current=facts.mode)
        why, lifts = "the mode is approve by now, and nobody was asked", "once a person has approved a plan of it"
        return self.deny(why, current=facts.mode, lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class NotSilenced(Guard):
    """No silence and no maintenance window covers the target; they stop acting, not looking."""

    on_hit: OnHit = "end"

    def check(self, action: Action, facts: Facts) -> Verdict:
        return self.allow(NO_UNDO) if facts.undoing else self.silenced(facts.silenced, facts.silenced_until)

    def silenced(self, why: str, until: datetime | None) -> Verdict:
        """By a silence, or where no end is known by a maintenance window; an empty text is neither."""
        lifts = "when the silence ends" if until else "when the maintenance window ends"
        return self.deny(f"silenced: {why}", frees_at=until, lifts=lifts) if why else self.allow("no silence covers it")


@dataclass(frozen=True, kw_only=True)
class NoVeto(Guard):
    """Nobody undid an earlier act of this page on this target; that is a veto for 24 h, and told once: by the incident
    that saw it."""

    def check(self, action: Action, facts: Facts) -> Verdict:
        if not facts.vetoed or facts.undoing:
            return self.allow(NO_UNDO if facts.undoing else "nobody undid an earlier act")
        lifts = "when the veto ends" if facts.vetoed_until else "once it can be told whether that act still stands"
        verdict = self.deny(facts.vetoed, frees_at=facts.vetoed_until, lifts=lifts)
        return verdict if facts.saw_the_veto else verdict.with_(on_hit="end")


@dataclass(frozen=True, kw_only=True)
class NotOurselves(Guard):
    """Neither the target nor the subject hosts BytePort, its stores or its ingress."""

    kind: ClassVar[str] = "forbidden"

    def check(self, action: Action, facts: Facts) -> Verdict:
        touched = {str(facts.evidence.target), action.subject, *facts.evidence.target.within, *action.within}
        ours = touched & facts.self_keys
        if not ours:
            return self.allow("does not host BytePort")
        return self.deny(f"{', '.join(sorted(ours))} hosts BytePort itself")


@dataclass(frozen=True, kw_only=True)
class OneHand(Guard):
    """The incident still holds every lock of its plan; one that nobody renewed for too long may be another's."""

    kind: ClassVar[str] = "lock"

    def check(self, action: Action, facts: Facts) -> Verdict:
        needed = {str(facts.evidence.target), action.subject, *facts.needed}
        lost = sorted(key for key in needed if key not in facts.held)
        if not lost:
            return self.allow("taken with the plan's locks")
        names = ", ".join(lost)
        return self.deny(f"the lock on {names} is not held any more", lifts=f"once the incident holds {names} again")


@dataclass(frozen=True, kw_only=True)
class NoGitopsOwner(Guard):
    """No GitOps controller syncs the workload by itself."""

    kind: ClassVar[str] = "forbidden"

    def check(self, action: Action, facts: Facts) -> Verdict:
        owner = facts.gitops_owner
        if not owner:
            return self.allow("no controller is known to sync it")
        why, lifts = f"{owner} syncs this workload: propose the change there", f"once {owner} no longer syncs it"
        return self.deny(why, lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class CalmGuard(Guard):
    """No storm: so many new incidents of one runbook are not remediated one by one."""

    kind: ClassVar[str] = "abort"

    def check(self, action: Action, facts: Facts) -> Verdict:
        if not facts.storm or facts.undoing:
            return self.allow(NO_UNDO if facts.undoing else "no storm")
        lifts = "when the storm has been calm for long enough"
        return self.deny(f"storm: {facts.storm}", frees_at=facts.storm_until, lifts=lifts)


@dataclass(frozen=True, kw_only=True)
class OneConfiguration(Guard):
    """All living processes work with the same configuration; while they differ, nobody acts."""

    def check(self, action: Action, facts: Facts) -> Verdict:
        other = facts.other_configuration
        if not other or facts.by_person:
            return self.allow("a person's own run" if facts.by_person else "no other configuration is at work")
        why = f"a process works with another configuration ({other}); see byteport doctor"
        return self.deny(why, lifts="once all processes work with one configuration")


@dataclass(frozen=True, kw_only=True)
class Writes(Budget):
    """The global ceiling on writes: ten planned steps in ten minutes for a cluster, host group or database server."""

    kind: ClassVar[str] = "ceiling"

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        (claim,) = super().claims(action, facts)
        return (claim.with_(counts_only=facts.undoing),)


@dataclass(frozen=True, kw_only=True)
class FirstDay(Budget):
    """A newly live runbook starts at one action an hour for 24 h. A person's own run is not slowed."""

    def check(self, action: Action, facts: Facts) -> Verdict:
        free = self._free(facts)
        return self.allow(free) if free else super().check(action, facts)

    def _free(self, facts: Facts) -> str:
        """Why it is not slowed; empty where it is."""
        if facts.by_person or facts.undoing:
            return NO_UNDO if facts.undoing else "a person's own run"
        young = facts.live_since is not None and facts.now - facts.live_since < timedelta(hours=24)
        return "" if young else "not in its first day"

    def claims(self, action: Action, facts: Facts) -> tuple[Claim, ...]:
        if self._free(facts):
            return ()
        return (
            Claim.window(
                f"first_day:{facts.runbook}",
                limit=self.limit,
                per=timedelta(hours=1),
                guard=self.name,
                kind=self.kind,
                on_hit=self.on_hit,
            ),
        )


def standing_guards(policy: Policy) -> tuple[Guard, ...]:
    """In the order in which they are asked."""
    return (
        KillSwitch(name="pause"),
        LiveMode(name="dry_run"),
        Asked(name="approval"),
        NotSilenced(name="silence"),
        NoVeto(name="human_veto"),
        NotOurselves(name="self_targets"),
        OneHand(name="target_lock"),
        NoGitopsOwner(name="gitops_owner"),
        CalmGuard(name="storm_breaker"),
        OneConfiguration(name="one_configuration"),
        Writes(
            name="global_writes",
            counter="global_writes",
            limit=10,
            per=timedelta(minutes=10),
            scope=scope_of,
            by_amount=False,
            scope_name="cluster, host group or database server",
        ),
        FirstDay(name="first_day_rate", limit=policy.first_day_rate, per=timedelta(hours=1), by_amount=False),
    )
