"""POST /webhooks/{source}: signatures are checked before anything is read, and success means stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from byteport.sources import webhook
from byteport.web.answers import Refused
from byteport.web.bodies import json_of
from byteport.web.reception import Reception
from byteport.web.serving import Call


@dataclass(frozen=True)
class Webhooks:
    """A source without a secret is unknown: an unsigned one is never listened to."""

    reception: Reception
    clock: Callable[[], float] = time.time

    def receive(self, call: Call) -> Response:
        settings = self.reception.world.settings.webhooks
        secret = settings.generic.in_clear("secret") if call.path["source"] == webhook.SOURCE else None
        if not secret:
            raise Refused(404, "unknown_source", "no such source, or no secret is configured for it")
        now = self.clock()
        try:
            header = call.request.headers.get(webhook.HEADER, "")
            delivery = webhook.verify(call.body, header, secret, now, settings.generic.replay_window)
        except webhook.NotSigned as wrong:
            raise Refused(401, "not_signed", str(wrong)) from None
        signal = webhook.parse(json_of(call.body), datetime.fromtimestamp(now, UTC), delivery)
        return JSONResponse(self.reception.take(signal), 202)
