"""BytePort's own stores: what is atomic, what raises, and whose clock counts.

`Ledger` is the truth (PostgreSQL, its clock). `Budgets` grants quickly (Redis, its clock). `Wakeups` rings doorbells.
Every method of `Ledger` and `Budgets` raises Unavailable when its store cannot be reached; nothing then is granted,
begun or moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Protocol

from byteport.grammar.action import Effect
from byteport.grammar.verdict import Claim, Count, Grant
from byteport.model.base import Value
from byteport.model.signal import Mode, Severity
from byteport.model.target import Target
from byteport.records.change import Change, Claimed, Lease, LockConflict, LockWanted
from byteport.records.delivery import Postmortem
from byteport.records.event import Event, StoredEvent
from byteport.records.evidence import Answer, GroupLease, Looked, StoredAnswer
from byteport.records.incident import Incident, Phase
from byteport.records.intent import Intent, NewIntent, Obligation
from byteport.records.outcome import Done, Failed, Refused
from byteport.records.standing import NewVeto, PauseRow, Promotion, Standing
from byteport.stores_abandoned import Abandoned, Due
from byteport.stores_audit import Audited
from byteport.stores_looks import Looks
from byteport.stores_people import People
from byteport.stores_signals import Signals


class Spend(Value):
    """A spend as the ledger has it, to rebuild the budgets store from. `age_seconds` on the ledger's clock."""

    claim_key: str
    intent: str
    amount: int
    age_seconds: float
    window_seconds: float


class Listing(Value):
    """One line of `incidents list`."""

    id: str
    runbook: str
    target: str
    word: str
    classification: str
    confidence: int | None
    mode: Mode
    severity: Severity
    opened_at: str
    closed_at: str | None
    reason: str
    signals: int


class Ledger(Abandoned, Audited, Looks, People, Signals, Protocol):
    """The truth. Transitions are compare-and-set on the claim's token and the version; the journal line commits with
    what it tells. All times are the ledger's own."""

    # -- moves -------------------------------------------------------------------------------------------------------
    def claim(
        self,
        incident_id: str,
        pages: Sequence[str],
        driver: str = "",
        phases: Sequence[str] | None = None,
        for_hands: Sequence[str] = (),
    ) -> tuple[Incident, Lease] | None:
        """Take a due, unleased incident whose page is among `pages` for 40 s. None: not due, closed, another worker's,
        driven by another process, or in none of `phases` (None: any); one that wants hands has to be in one of
        `for_hands` instead. Counts claims without a save (see `claimed_in_vain`)."""
        ...

    def claim_and_read(
        self, incident_id: str, pages: Sequence[str], driver: str, phases: Sequence[str], for_hands: Sequence[str]
    ) -> Claimed | None:
        """`claim`, with what the next move will ask for, in one statement."""
        ...

    def save(self, change: Change, lease: Lease) -> Incident:
        """Commit the move: incident (version + 1), events, a new round with its groups, messages as deliveries (with
        their dedup), postmortem, lock release, child incident, owed look; ends the lease and clears `woken_at`. Raises
        Stale when the token or version is not the one that was read, Permanent for CLOSED over an open intent or undo.
        """
        ...

    def save_and_claim(self, change: Change, lease: Lease, answers: tuple[StoredAnswer, ...] | None = None) -> Claimed:
        """The same, and the claim goes on, for another 40 s from now: the incident as it then stands, what came
        meanwhile read with it, the new lease, and what the next move will ask for; `answers` are known already, where
        they are given. Not for a move that closes."""
        ...

    def renew(self, lease: Lease) -> Lease:
        """Another 40 s for the holder of the token, and its locks another term; raises Stale."""
        ...

    def wake_due(
        self, limit: int = 500, again_after: timedelta = timedelta(seconds=10), untaken: int | None = None
    ) -> list[Due]:
        """Due and unleased incidents, stamped `woken_at` so that the same one is woken at most every `again_after`.
        Includes incidents with probe groups to send again. `untaken`: no more than so many that were woken within 3 s
        and not claimed since, of those that need no hands; and what was made due at once is left for a second to
        whoever did so and rings for it. One statement."""
        ...

    def next_due(self, within: timedelta) -> timedelta | None:
        """How long until the next open incident falls due, if one does so soon."""
        ...

    def incident(self, incident_id: str) -> Incident | None: ...
    def intents_of(self, incident_id: str) -> list[Intent]: ...

    # -- evidence ----------------------------------------------------------------------------------------------------
    def groups_to_send(self, incident_id: str) -> list[tuple[int, str]]:
        """Groups of the open round never sent, not taken within 15 s of sending, or lapsed; stamps them as sent in the
        same statement. At most three sendings each. Empty once the incident has left the round."""
        ...

    def take_group(self, incident_id: str, round_: int, group: str) -> GroupLease | None:
        """Take a group for its lease; None when it is answered, held by another, or its round is over."""
        ...

    def take_quick_groups(self, incident_id: str, most: int) -> tuple[Incident, list[GroupLease]] | None:
        """Send the groups of the open round to the caller itself and take them for it, in one statement: those that
        are to be sent and answer within an ordinary lease, up to `most`; with the incident. None: there is none."""
        ...

    def store_groups(self, answered: Sequence[tuple[GroupLease, Sequence[Answer]]]) -> Looked:
        """`store_answers` for several groups of one round, all or none."""
        ...

    def store_and_claim(
        self,
        answered: Sequence[tuple[GroupLease, Sequence[Answer]]],
        pages: Sequence[str],
        driver: str,
        phases: Sequence[str],
        for_hands: Sequence[str],
    ) -> tuple[Looked, Claimed | None]:
        """`store_groups`, and where that completes the round `claim_and_read`, in one statement."""
        ...

    def store_answers(self, group: GroupLease, answers: Sequence[Answer]) -> Looked:
        """Insert the answers once and count the incident's `pending` down in the same transaction; whoever brings it
        to zero makes the incident due at once. A stale token or an older round is stored and moves nothing."""
        ...

    def answers(self, incident_id: str) -> list[StoredAnswer]:
        """All rounds, oldest first."""
        ...

    # -- the gate ----------------------------------------------------------------------------------------------------
    def standing(self, incident_id: str, runbook: str, target: Target) -> Standing:
        """Everything the gate asks of the ledger before an attempt, in one statement."""
        ...

    def known_targets(self, kind: str) -> int:
        """How many targets of this kind were seen within 24 h; of a large inventory as it was seconds ago."""
        ...

    def find_intent(self, key: str) -> Intent | None: ...

    def open_intent(self, new: NewIntent, lease: Lease) -> Intent:
        """The last word: under advisory locks on the claim keys in sorted order, insert the spends, recount windows,
        and insert the intent with its undo obligation (void until begun) and its event. Raises Overspent on an overrun
        or an outdated epoch (nothing is left behind), Stale where the lease has passed on."""
        ...

    def open_and_begin(self, new: NewIntent, lease: Lease, timeout: timedelta, runbook: str) -> tuple[Intent, bool]:
        """`open_intent` and the first `begin_attempt`, all or nothing: whatever either raises, nothing is left behind.
        False: it was opened before, and nothing was begun now."""
        ...

    def begin_attempt(self, intent: Intent, lease: Lease, timeout: timedelta, runbook: str) -> Intent:
        """One statement: the token is current, the lease outlives `timeout`, and nothing is paused; attempts + 1, and
        the incident's `acted_at` where it had none. Raises Stale or Paused."""
        ...

    def mark_answered(self, intent: Intent, effect: Effect) -> Intent:
        """The target replied; kept even when the lease has passed on."""
        ...

    def settle(self, intent: Intent, outcome: Done | Failed | Refused, *, refund: bool = False) -> Intent:
        """Write the outcome once (a settled intent keeps its first); `refund` marks its spends as given back."""
        ...

    def owed(self, incident_id: str) -> list[Obligation]:
        """Obligations that are owed and no longer void, newest step first."""
        ...

    def take_locks(self, lease: Lease, wanted: Sequence[LockWanted]) -> LockConflict | None:
        """All or none, held by the incident until released or 15 min without a renewal; None when granted."""
        ...

    def alone(self, errand: str) -> AbstractContextManager[bool]:
        """Whether no other process does this errand now; it stays so while the context lasts. Never waits."""
        ...

    def budgets_epoch(self) -> int:
        """The epoch that a grant must be of; 0 before the first rebuild."""
        ...

    def begin_rebuild(self) -> AbstractContextManager[tuple[int, list[Spend]]]:
        """A new epoch and every spend that still counts, for `Budgets.rebuild`; held under an advisory lock while the
        context lasts, so that no intent opens meanwhile."""
        ...

    # -- reading ------------------------------------------------------------------------------------------------------
    def postmortem(self, incident_id: str) -> Postmortem | None: ...
    def events(self, incident_id: str, after_seq: int = 0) -> list[StoredEvent]: ...
    def listing(self, *, open_only: bool = False, limit: int = 50, before: str = "") -> list[Listing]: ...

    # -- standing orders ---------------------------------------------------------------------------------------------
    def pause(self, runbook: str, why: str, who: str) -> PauseRow: ...
    def resume(self, runbook: str, who: str) -> int:
        """How many pauses ended."""
        ...

    def pauses(self) -> list[PauseRow]: ...
    def veto(self, new: NewVeto) -> None:
        """That the page leaves the target alone; nothing where the same act's undo was seen before."""
        ...

    def promote(self, runbook: str, mode: Mode, who: str, why: str) -> Promotion: ...
    def promotions(self) -> list[Promotion]: ...
    def register_self(self, process: str, keys: Sequence[str], configuration: str) -> None:
        """A process's own addresses, and its configuration's digest; renewed by its heartbeats, gone after 10 min."""
        ...

    def living_roles(self, configuration: str) -> frozenset[str]:
        """The roles of processes with this configuration that have been heard of since their last heartbeat was due."""
        ...

    def append(self, incident_id: str, events: Sequence[Event]) -> None:
        """Journal lines outside a move (a person's command)."""
        ...

    def command(self, incident_id: str, word: str, who: str, why: str, plan: str = "") -> Incident:
        """A person's `cancel`, `close`, `ack` or `approve`; due at once. `plan` is the digest of the plan that the
        person has seen. Raises BadInput when the incident is unknown or ended, or another plan waits by now."""
        ...

    def forget_before(self, age: timedelta, limit: int = 1000) -> int:
        """Retention: closed incidents older than `age` and all their rows; how many."""
        ...


class Budgets(Protocol):
    """Quick grants. One script, all or none, on the store's own clock."""

    def reserve(self, key: str, claims: Sequence[Claim]) -> Grant:
        """Grant every claim or none. Claims with `up_to` may be narrowed together to the smallest amount left (at
        least one). The same key asked again gets the same grant. Refuses while the store is not rebuilt (epoch 0)."""
        ...

    def peek(self, claims: Sequence[Claim], ahead: Mapping[str, int] | None = None) -> Grant:
        """What `reserve` would answer, with `ahead` (claim key → amount) counted as if spent. Spends nothing."""
        ...

    def give_back(self, key: str) -> None:
        """Undo the reservation of `key`; only where the target was never reached. Unknown keys are ignored."""
        ...

    def counts(self, claims: Sequence[Claim]) -> list[Count]: ...
    def epoch(self) -> int:
        """0 while the store is empty or was not rebuilt."""
        ...

    def rebuild(self, epoch: int, spends: Sequence[Spend]) -> None:
        """Replace everything by the ledger's spends and set the epoch, in one script."""
        ...

    def check(self) -> None:
        """Raises Permanent when the server may evict keys (maxmemory-policy other than noeviction)."""
        ...


class Wakeups(Protocol):
    """Doorbells: ring the task that moves an incident. A lost or late ring costs a sweep; ringing never raises."""

    def ring(self, incident_id: str, phase: Phase) -> None: ...
    def ring_all(self, incident_ids: Sequence[str], phase: Phase) -> None: ...
    def send_groups(self, incident_id: str, groups: Sequence[tuple[int, str]]) -> None: ...
