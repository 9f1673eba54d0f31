"""What earlier incidents found out, for those that come after them."""

from __future__ import annotations

from datetime import timedelta

from byteport.adapters.ledger.base import Stored
from byteport.model.facts.application import PastDiagnosis
from byteport.model.facts.services import Restart

MOST = 20


class Past(Stored):
    """Reads."""

    def diagnosed(self, runbook: str, name: str, within: str, since: timedelta) -> tuple[PastDiagnosis, ...]:
        """Incidents of that runbook, opened in the last `since`, whose diagnosis was `name`, on the thing `within`
        (kind:key) or a part of it; the newest first, twenty at most."""
        rows = self.rows(
            """
            select id as incident, runbook, target_kind || ':' || target_key as target,
                state -> 'diagnosis' ->> 'name' as name, opened_at as at
            from byteport.incidents
            where runbook = %(runbook)s and opened_at > byteport.clock() - %(since)s
              and state -> 'diagnosis' ->> 'name' = %(name)s
              and (target_kind || ':' || target_key = %(within)s or signal -> 'target' -> 'within' ? %(within)s)
            order by opened_at desc
            limit %(most)s
            """,
            {"runbook": runbook, "name": name, "within": within, "since": since, "most": MOST},
        )
        return tuple(PastDiagnosis.model_validate(dict(row)) for row in rows)

    def restarts_of(self, host: str, unit: str, since: timedelta) -> tuple[Restart, ...]:
        """The restarts of that service that BytePort has begun, the newest first."""
        rows = self.rows(
            """
            select incident.runbook, intent.begun_at as at
            from byteport.intents intent join byteport.incidents incident on incident.id = intent.incident
            where intent.begun_at > byteport.clock() - %(since)s and intent.direction = 'do'
              and intent.action ->> 'kind' like '%%:RestartUnit'
              and intent.action -> 'fields' ->> 'host' = %(host)s and intent.action -> 'fields' ->> 'unit' = %(unit)s
            order by intent.begun_at desc
            limit %(most)s
            """,
            {"host": host, "unit": unit, "since": since, "most": MOST},
        )
        return tuple(Restart.model_validate(dict(row)) for row in rows)
