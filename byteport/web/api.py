"""/api/v1: the same that the command line offers, as JSON, for whoever carries the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from byteport.model.base import Json
from byteport.model.signal import Signal
from byteport.redaction import redact
from byteport.shown import guards
from byteport.shown import record as records
from byteport.shown.explanation import explanation
from byteport.shown.outlook import outlook_of
from byteport.shown.runbook import listed, shown
from byteport.web.answers import Refused
from byteport.web.door import clean_name
from byteport.web.reception import Reception
from byteport.web.serving import Call
from byteport.web.world import World

MOST_LISTED = 500


@dataclass(frozen=True)
class Api:
    """Each method is one endpoint."""

    world: World
    reception: Reception

    def signals(self, call: Call) -> Response:
        """202 once the ledger has the signal: {incident, absorbed, duplicate}."""
        return JSONResponse(self.reception.take(Signal.model_validate(call.json())), 202)

    def incidents(self, call: Call) -> Response:
        """Newest first; `open=1` leaves out the closed, `before=ID` goes on after a page."""
        found = self.world.ledger.listing(
            open_only=call.query.get("open", "0") in ("1", "true"),
            limit=max(1, call.number("limit", 50, MOST_LISTED)),
            before=call.query.get("before", ""),
        )
        return JSONResponse({"incidents": [line.model_dump(mode="json") for line in found]})

    def incident(self, call: Call) -> Response:
        return JSONResponse(records.as_json(self._record(call)))

    def explanation(self, call: Call) -> Response:
        """Why, and why not; with the nearest change that would have flipped the decision."""
        found, world = self._record(call), self.world
        return JSONResponse(explanation(found, outlook_of(found, world.ledger, world.pages, world.policy)))

    def events(self, call: Call) -> Response:
        """The journal's lines after `after`."""
        incident = self._record(call).incident.id
        found = self.world.ledger.events(incident, call.number("after", 0, 10**9))
        return JSONResponse({"events": redact([event.model_dump(mode="json") for event in found])})

    def postmortem(self, call: Call) -> Response:
        """The structured record, or (`format=markdown`) its Markdown, for downloading; 404 while there is none."""
        found = self._record(call)
        if found.postmortem is None:
            raise Refused(404, "no_postmortem", "the incident has not ended, so its story is not written yet")
        name = f"{found.incident.id}.{'md' if call.query.get('format') == 'markdown' else 'json'}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if call.query.get("format") == "markdown":
            text = found.postmortem.markdown
            return Response(text, headers=headers, media_type="text/markdown; charset=utf-8")
        return JSONResponse(found.postmortem.record, headers=headers)

    def silences(self, _call: Call) -> Response:
        """Those that hold or will, Alertmanager's among them."""
        found = self.world.ledger.silences()
        return JSONResponse({"silences": [{**row.model_dump(mode="json"), "selects": row.selects} for row in found]})

    def storms(self, _call: Call) -> Response:
        """Those of which something is left: the storm itself, or incidents."""
        found = self.world.ledger.storms()
        return JSONResponse({"storms": [{**row.model_dump(mode="json"), "left": row.left} for row in found]})

    def pollers(self, _call: Call) -> Response:
        """The sources that are asked, and when each was last heard."""
        return JSONResponse({"pollers": [row.model_dump(mode="json") for row in self.world.ledger.pollers()]})

    def runbooks(self, _call: Call) -> Response:
        promotions = {row.runbook: row for row in self.world.ledger.promotions()}
        return JSONResponse({"runbooks": listed(self.world.pages, self.world.policy, promotions)})

    def runbook(self, call: Call) -> Response:
        return JSONResponse(self._page(call.path["slug"]))

    def guards(self, _call: Call) -> Response:
        """Every budget in use, every lock held, every pause, and what people have reset."""
        found = guards.as_json(guards.fetch(self.world.ledger, self.world.pages))
        return JSONResponse({**found, "paused_here": self.world.policy.paused_here()})

    def pause(self, call: Call) -> Response:
        """{why, who, runbook?}: nothing begins any more, everywhere."""
        told = call.json()
        why, who, runbook = _text(told, "why"), _text(told, "who"), _text(told, "runbook", needed=False)
        if runbook:
            runbook = self.world.pages[runbook].name
        row = self.world.ledger.pause(runbook, why, clean_name(who))
        return JSONResponse(row.model_dump(mode="json"), 201)

    def resume(self, call: Call) -> Response:
        """{who, runbook?}: how many pauses ended."""
        told = call.json()
        ended = self.world.ledger.resume(_text(told, "runbook", needed=False), clean_name(_text(told, "who")))
        return JSONResponse({"ended": ended})

    def _record(self, call: Call) -> records.Record:
        found = records.fetch(self.world.ledger, call.path["id"])
        if found is None:
            raise Refused(404, "unknown_incident", "no incident has this id")
        return found

    def _page(self, slug: str) -> Json:
        name = slug.replace("-", "_")
        page = self.world.pages.by_name.get(name)
        if page is None:
            raise Refused(404, "unknown_runbook", "no runbook has this name")
        promotions = {row.runbook: row for row in self.world.ledger.promotions()}
        return shown(page, self.world.policy, promotions.get(name))


def _text(told: Mapping[str, Any], field: str, *, needed: bool = True) -> str:
    """One bounded line; 422 where it is missing, no text, or too long."""
    value = told.get(field, "")
    if not isinstance(value, str) or len(value) > 500 or (needed and not value.strip()):
        expected = "a text of at most 500 characters" + (", not empty" if needed else "")
        raise Refused(422, "invalid", f"{field}: {expected}")
    return value.strip()
