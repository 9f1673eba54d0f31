"""The console: server-rendered pages for people. It shows, pauses, and passes on a person's word; it moves nothing."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import HTMLResponse, RedirectResponse, Response

from byteport.shown import course, evidence, guards, record, steps, verdicts
from byteport.shown.explanation import read_by
from byteport.shown.nearest import nearest
from byteport.shown.outlook import outlook_of
from byteport.shown.runbook import listed, shown
from byteport.web.answers import Refused
from byteport.web.door import COOKIE, LASTS, Door, clean_name, local_path
from byteport.web.pages import Templates
from byteport.web.serving import Call
from byteport.web.world import World

WORDS = ("ack", "close", "cancel", "approve")
PAGE = 50


@dataclass(frozen=True)
class Console:
    """Each method is one page or one form."""

    world: World
    door: Door
    templates: Templates

    def login(self, call: Call) -> Response:
        wanted = local_path(call.query.get("next", "/"))
        return HTMLResponse(self.templates.render("login.html", wanted=wanted, wrong=False))

    def enter(self, call: Call) -> Response:
        """The token is shown once; from then on the cookie speaks. Its form needs no proof: it changes nothing here."""
        form = call.form()
        wanted = local_path(form.get("next", "/"))
        if not self.door.fits(form.get("token", "").strip()):
            return HTMLResponse(self.templates.render("login.html", wanted=wanted, wrong=True), 401)
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(
            COOKIE, self.door.let_in(clean_name(form.get("who", ""))), max_age=LASTS, httponly=True, samesite="strict",
            secure=self.world.settings.web.secure_cookie,
        )  # fmt: skip
        return answer

    def leave(self, _call: Call) -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    def incidents(self, call: Call) -> Response:
        every = call.query.get("show", "open") == "all"
        before = call.query.get("before", "")
        found = self.world.ledger.listing(open_only=not every, limit=PAGE, before=before)
        figures = self.world.ledger.figures()
        older = found[-1].id if len(found) == PAGE else ""
        name = "incident_rows.html" if "part" in call.query else "incidents.html"
        return self.page(call, name, lines=found, every=every, before=before, older=older, figures=figures)

    def incident(self, call: Call) -> Response:
        """The whole page, or (`part`) what changes while the incident runs; 204 when nothing has since `seen`."""
        found = record.fetch(self.world.ledger, call.path["id"])
        if found is None:
            return self._missing(call, "No incident has this id. It may be past its retention.")
        if call.query.get("seen") == found.mark:
            return Response(status_code=204)
        page = self.world.pages.by_name.get(found.incident.runbook)
        outlook = outlook_of(found, self.world.ledger, self.world.pages, self.world.policy)
        name = "incident_body.html" if "part" in call.query else "incident.html"
        return self.page(
            call, name, record=found, incident=found.incident, page=page,
            stations=course.course_of(found), steps=steps.steps_of(found), verdicts=verdicts.verdicts_of(found),
            fields=[(line, evidence.figures_of(line)) for line in evidence.evidence_of(found)],
            outlook=outlook, nearest=nearest(found, outlook), read_by=read_by,
            ends=steps.end_in_words(found.incident.plan) if found.incident.plan else "",
        )  # fmt: skip

    def command(self, call: Call) -> Response:
        """A person's word on one incident, with a reason."""
        form, incident = call.form(), call.path["id"]
        if form.get("word") not in WORDS:
            raise Refused(422, "invalid", f"word: one of {', '.join(WORDS)}")
        why = form.get("why", "").strip()[:500] or "no reason given"
        self.world.ledger.command(incident, form["word"], call.visitor.who, why, form.get("plan", ""))
        return RedirectResponse(f"/incidents/{incident}", 303)

    def runbooks(self, call: Call) -> Response:
        promotions = {row.runbook: row for row in self.world.ledger.promotions()}
        return self.page(call, "runbooks.html", pages=listed(self.world.pages, self.world.policy, promotions))

    def runbook(self, call: Call) -> Response:
        """Generated from the page; a hyphen is an underscore."""
        slug: str = call.path["slug"]
        page = self.world.pages.by_name.get(slug.replace("-", "_"))
        if page is None:
            return self._missing(call, "No runbook has this name.")
        if slug != page.name:
            return RedirectResponse(f"/runbooks/{page.name}", 308)
        promotions = {row.runbook: row for row in self.world.ledger.promotions()}
        told = shown(page, self.world.policy, promotions.get(page.name))
        return self.page(call, "runbook.html", page=page, told=told, promotion=promotions.get(page.name))

    def guards(self, call: Call) -> Response:
        return self.page(call, "guards.html", guards=guards.fetch(self.world.ledger, self.world.pages))

    def pause(self, call: Call) -> Response:
        form = call.form()
        why = form.get("why", "").strip()[:500]
        if not why:
            raise Refused(422, "invalid", "why: say why, so that others know when to resume")
        self.world.ledger.pause("", why, call.visitor.who)
        return RedirectResponse(local_path(form.get("next", "/")), 303)

    def resume(self, call: Call) -> Response:
        form = call.form()
        runbook = form.get("runbook", "")
        self.world.ledger.resume(runbook, call.visitor.who)
        return RedirectResponse(local_path(form.get("next", "/")), 303)

    def page(self, call: Call, name: str, status: int = 200, **told: object) -> Response:
        """A template, with what every page shows."""
        standing = {
            "who": call.visitor.who,
            "form_token": call.visitor.form_token,
            "here": call.request.url.path,
            "pauses": self.world.ledger.pauses(),
            "paused_here": self.world.policy.paused_here(),
        }
        return HTMLResponse(self.templates.render(name, **standing, **told), status)

    def _missing(self, call: Call, why: str) -> Response:
        return self.page(call, "missing.html", 404, why=why)
