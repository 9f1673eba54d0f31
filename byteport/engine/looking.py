"""Looking: one group for whoever was sent it, or a whole round for who opened it, where it is answered quickly."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from byteport.engine.gathering import ask_all
from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.engine.work import GROUP_LEASE
from byteport.grammar.evidence import fields_of
from byteport.grammar.runbook import Runbook
from byteport.model.target import Target
from byteport.ports import Readers
from byteport.records.change import Change, Claimed
from byteport.records.evidence import Answer, GroupLease, Looked
from byteport.records.incident import Incident
from byteport.stores import Ledger

MOST_GROUPS = 4  # more connections than that are asked by the whole fleet


def taking(change: Change, page: Runbook) -> Change:
    """Its groups taken by who saves it; as it is where they are slow, many, or of another page."""
    look = change.look
    if look is None or look.lease_seconds > GROUP_LEASE or len(look.groups) > MOST_GROUPS:
        return change
    if not {name for names in look.groups.values() for name in names} <= fields_of(page.evidence).keys():
        return change
    token = f"here.{secrets.token_hex(16)}"
    return change.model_copy(update={"taken": dict.fromkeys(look.groups, token)})


def leases(change: Change, saved: Incident, now: datetime) -> Sequence[GroupLease]:
    """What was taken with the change, as the ledger has it now. `now`: not later than when it was taken."""
    look = change.look
    if look is None or not change.taken or saved.pending == 0:
        return ()
    return [
        GroupLease(
            incident=saved.id, round=saved.round, group=name, token=change.taken[name], fields=tuple(fields), now=now
        )
        for name, fields in look.groups.items()
    ]


@dataclass(frozen=True)
class Eyes:
    """Asks what rounds ask, and stores the answers."""

    ledger: Ledger
    readers: Readers
    pages: Pages
    policy: Policy
    driver: str = ""

    def look(self, incident_id: str, round_: int, group: str) -> Looked:
        """Take a probe group, ask its probes, store the answers. A group that is answered or held is left alone, and
        one with a field that only a newer page has is left to whoever has it: its lease lapses and it is sent again."""
        lease = self.ledger.take_group(incident_id, round_, group)
        incident = self.ledger.incident(incident_id) if lease is not None else None
        page = self.pages.by_name.get(incident.runbook) if incident is not None else None
        if (
            lease is None
            or incident is None
            or page is None
            or not set(lease.fields) <= fields_of(page.evidence).keys()
        ):
            return Looked(stored=False, completes_the_round=False)
        target = incident.signal.target
        options = self.policy.options_of(page, target)
        return self.ledger.store_answers(lease, ask_all(page, lease.fields, target, self.readers, options))

    def here(self, incident_id: str) -> Looked | None:
        """Ask in this very process what the open round asks: groups that answer quickly, all at the same time. None
        where there is none to ask. What is slow, or more than a few, is for the fleet (`groups_to_send`)."""
        answered = self._taken(incident_id)
        return self.ledger.store_groups(answered) if answered else None

    def at_open_round(self, incident_id: str, phases: Sequence[str], for_hands: Sequence[str]) -> Claimed | None:
        """The same, and the claim where that was the last of the round."""
        answered = self._taken(incident_id)
        if not answered:
            return None
        return self.ledger.store_and_claim(answered, self.pages.digests, self.driver, phases, for_hands)[1]

    def _taken(self, incident_id: str) -> list[tuple[GroupLease, list[Answer]]]:
        """What was to be asked quickly, and the answers. A page that is not known here as it is asked of leaves the
        leases to lapse: whoever has it is asked then."""
        taken = self.ledger.take_quick_groups(incident_id, MOST_GROUPS)
        if taken is None:
            return []
        incident, leases = taken
        page = self.pages.by_name.get(incident.runbook)
        known = fields_of(page.evidence).keys() if page is not None else frozenset()
        if page is None or not {n for lease in leases for n in lease.fields} <= known:
            return []
        return self._asked(page, incident.signal.target, leases)

    def at(
        self, incident: Incident, leases: Sequence[GroupLease], phases: Sequence[str], for_hands: Sequence[str]
    ) -> Claimed | None:
        """Ask, store, and claim again what the answers have made due. None: somebody else goes on."""
        by_group = self._asked(self.pages[incident.runbook], incident.signal.target, leases)
        _, claimed = self.ledger.store_and_claim(by_group, self.pages.digests, self.driver, phases, for_hands)
        return claimed

    def _asked(
        self, page: Runbook, target: Target, leases: Sequence[GroupLease]
    ) -> list[tuple[GroupLease, list[Answer]]]:
        """All groups at the same time; what each was answered."""
        fields = [name for lease in leases for name in lease.fields]
        answers = ask_all(page, fields, target, self.readers, self.policy.options_of(page, target))
        return [(lease, [one for one in answers if one.field in lease.fields]) for lease in leases]
