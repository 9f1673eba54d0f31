"""The console's pages on what stands over all incidents: silences and storms, sources, and who is told."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from byteport.errors import BadInput
from byteport.settings.maintenance import DAYS, MaintenanceSection
from byteport.settings.teams import TeamSection
from byteport.shown.silencing import length_of, match_of
from byteport.web.answers import Refused
from byteport.web.serving import Call
from byteport.web.world import World

Page = Callable[..., Response]
HERE = "/silences"


@dataclass(frozen=True)
class StandingPages:
    """Each method is one page or one form; `page` renders a template with what every page shows."""

    world: World
    page: Page

    def silences(self, call: Call) -> Response:
        windows = [_window(one) for one in self.world.settings.maintenance]
        ledger = self.world.ledger
        return self.page(call, "silences.html", silences=ledger.silences(), storms=ledger.storms(), maintenance=windows)

    def silence(self, call: Call) -> Response:
        """What the form says, by whoever has logged in."""
        form = call.form()
        why = form.get("why", "").strip()[:500]
        if not why:
            raise Refused(422, "invalid", "why: a reason, for whoever finds it silenced")
        try:
            match, length = match_of(shlex.split(form.get("match", ""))), length_of(form.get("for", "").strip())
        except (BadInput, ValueError) as wrong:
            raise Refused(422, "invalid", str(wrong)) from None
        self.world.ledger.silence(match, length, why, call.visitor.who)
        return RedirectResponse(HERE, 303)

    def end_silence(self, call: Call) -> Response:
        number = call.path["id"]
        if not number.isdigit() or not self.world.ledger.end_silence(int(number[:18]), call.visitor.who):
            raise Refused(404, "not_found", "no silence of BytePort's own with this number holds")
        return RedirectResponse(HERE, 303)

    def end_storm(self, call: Call) -> Response:
        runbook = call.path["runbook"]
        if runbook not in {row.runbook for row in self.world.ledger.storms() if not row.is_over}:
            raise Refused(404, "not_found", "this runbook is in no storm")
        self.world.ledger.end_storm(runbook, call.visitor.who)
        return RedirectResponse(HERE, 303)

    def sources(self, call: Call) -> Response:
        webhooks = self.world.settings.webhooks
        heard = [(name, getattr(webhooks, name).in_clear("secret") is not None) for name in type(webhooks).model_fields]
        return self.page(
            call, "sources.html", pollers=self.world.ledger.pollers(), webhooks=heard, channels=list(self._told())
        )

    def _told(self) -> Iterator[dict[str, str]]:
        teams = self.world.settings.teams
        for name in self.world.policy.channels:
            channel, _, team = name.partition("/")
            yield {"channel": channel, "team": team, "owns": _owned(teams[team]) if team in teams else ""}


def _window(section: MaintenanceSection) -> dict[str, str]:
    what = " ".join(f"{name}={value}" for name, value in section.match.items())
    days = "every day" if set(section.days) == set(DAYS) else ", ".join(section.days)
    when = f"{days} {section.start}, {section.minutes} min ({section.timezone})"
    return {"what": what, "when": when, "why": section.why}


def _owned(team: TeamSection) -> str:
    labels = [f"{name}={value}" for name, value in team.match.items()]
    return ", ".join([*team.services, *labels])
