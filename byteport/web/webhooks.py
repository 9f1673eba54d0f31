"""POST /webhooks/{source}: who sent it is checked before anything is read, and success means stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.responses import JSONResponse, Response

from byteport.sources import webhook
from byteport.sources.catalogue import SOURCES
from byteport.sources.incoming import Incoming, NotSigned, Source
from byteport.web.answers import Refused
from byteport.web.bodies import json_of
from byteport.web.reception import Reception
from byteport.web.serving import Call


@dataclass(frozen=True)
class Webhooks:
    """A source without a secret is unknown: one that proves nothing is never listened to."""

    reception: Reception
    clock: Callable[[], float] = time.time
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)

    def receive(self, call: Call) -> Response:
        """202 once everything that was told is stored; 422 where a part of it could not be read, the rest stored."""
        name = str(call.path["source"])
        secret, window = self._proof(name)
        headers = {key.lower(): value for key, value in call.request.headers.items()}
        incoming = Incoming(headers, call.body, self.clock())
        try:
            if name == webhook.SOURCE:
                return self._own_form(incoming, secret, window)
            source = self.sources[name]
            source.verify(incoming, secret, window)
        except NotSigned as wrong:
            raise Refused(401, "not_signed", str(wrong)) from None
        told = self.reception.take_all(name, source.parse(json_of(call.body), incoming))
        return JSONResponse(told, 422 if "problems" in told else 202)

    def _proof(self, name: str) -> tuple[str, float]:
        """The secret and the replay window of a source; 404 where there is none such, or no secret for it."""
        known = name == webhook.SOURCE or name in self.sources
        section = getattr(self.reception.world.settings.webhooks, name, None) if known else None
        secret = section.in_clear("secret") if section is not None else None
        if section is None or not secret:
            raise Refused(404, "unknown_source", "no such source, or no secret is configured for it")
        return secret, section.replay_window

    def _own_form(self, incoming: Incoming, secret: str, window: float) -> Response:
        """A signal in BytePort's own form: nothing has to be mapped, and what is wrong with it is answered."""
        delivery = webhook.verify(incoming.body, incoming.header(webhook.HEADER), secret, incoming.now, window)
        signal = webhook.parse(json_of(incoming.body), incoming.at, delivery)
        return JSONResponse(self.reception.take(signal), 202)
