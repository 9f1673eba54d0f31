"""POST /slack/interactions: a button of ours was clicked. Its word counts as one from the console would."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from byteport.errors import BadInput
from byteport.sources import slack_actions
from byteport.sources.incoming import Incoming, NotSigned
from byteport.sources.slack_actions import Clicked
from byteport.web.answers import Refused
from byteport.web.serving import Call
from byteport.web.world import World

log: Any = structlog.get_logger("byteport.web")
SAYS = {"approve": "released the plan", "cancel": "ended it", "ack": "takes it"}


@dataclass(frozen=True)
class Interactions:
    """Only people whose ids the configuration names are heard; `answer` posts to Slack what came of it."""

    world: World
    answer: Callable[[str, str], None]
    clock: Callable[[], float] = time.time

    def receive(self, call: Call) -> Response:
        """200 whenever Slack has sent it: what is wrong is told to the person who clicked."""
        section = self.world.settings.channels.slack
        secret = section.in_clear("signing_secret")
        if not secret:
            raise Refused(404, "unknown", "no signing secret is configured")
        headers = {key.lower(): value for key, value in call.request.headers.items()}
        try:
            slack_actions.verify(Incoming(headers, call.body, self.clock()), secret)
        except NotSigned as wrong:
            raise Refused(401, "not_signed", str(wrong)) from None
        clicked = slack_actions.parse(call.body)
        if clicked is None:
            return JSONResponse({})
        told = self._given(clicked) if clicked.user in section.approvers else self._not_heard(clicked)
        return JSONResponse({}, background=BackgroundTask(self.answer, clicked.answer_to, told))

    def _given(self, clicked: Clicked) -> str:
        if clicked.word == "approve" and not clicked.plan:
            return f"{clicked.incident}: not done: the button names no plan"
        try:
            after = self.world.ledger.command(clicked.incident, clicked.word, clicked.who, "in Slack", clicked.plan)
        except BadInput as wrong:
            return f"{clicked.incident}: not done: {wrong}"
        return f"{clicked.name} {SAYS[clicked.word]}: {clicked.incident} ({after.word})"

    def _not_heard(self, clicked: Clicked) -> str:
        log.warning("click_not_heard", user=clicked.user, word=clicked.word, incident=clicked.incident)
        return f"{clicked.name} ({clicked.user}) is not among channels.slack.approvers; nothing was done"
