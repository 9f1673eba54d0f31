"""POST /webhooks/{source}: who sent it is checked before anything is read, and success means stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from byteport.model.signal import Signal
from byteport.sources import webhook
from byteport.sources.catalogue import SOURCES
from byteport.sources.incoming import Incoming, NotSigned, Source
from byteport.web.answers import Refused
from byteport.web.bodies import json_of
from byteport.web.reception import Reception
from byteport.web.serving import Call

SMALL = 16 * 1024  # what is read in the event loop; the rest of the world would wait for a larger one


@dataclass(frozen=True)
class Webhooks:
    """A source without a secret is unknown: one that proves nothing is never listened to."""

    reception: Reception
    clock: Callable[[], float] = time.time
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)

    async def receive(self, call: Call) -> Response:
        """202 once everything that was told is stored; 422 where a part of it could not be read, the rest stored."""
        if str(call.path["source"]) != webhook.SOURCE:
            return await run_in_threadpool(self._foreign_form, call)
        is_small = len(call.body) <= SMALL
        signal = self._own_form(call) if is_small else await run_in_threadpool(self._own_form, call)
        return JSONResponse(await self.reception.taken(signal), 202)

    def _foreign_form(self, call: Call) -> Response:
        """What others send, mapped by their source."""
        name = str(call.path["source"])
        secret, window = self._proof(name)
        incoming = self._incoming(call)
        source = self.sources[name]
        try:
            source.verify(incoming, secret, window)
        except NotSigned as wrong:
            raise Refused(401, "not_signed", str(wrong)) from None
        told = self.reception.take_all(name, source.parse(json_of(call.body), incoming))
        return JSONResponse(told, 422 if "problems" in told else 202)

    def _own_form(self, call: Call) -> Signal:
        """A signal in BytePort's own form: nothing has to be mapped, and what is wrong with it is answered."""
        secret, window = self._proof(webhook.SOURCE)
        incoming = self._incoming(call)
        try:
            delivery = webhook.verify(incoming.body, incoming.header(webhook.HEADER), secret, incoming.now, window)
        except NotSigned as wrong:
            raise Refused(401, "not_signed", str(wrong)) from None
        return webhook.parse(json_of(incoming.body), incoming.at, delivery)

    def _incoming(self, call: Call) -> Incoming:
        headers = {key.lower(): value for key, value in call.request.headers.items()}
        return Incoming(headers, call.body, self.clock())

    def _proof(self, name: str) -> tuple[str, float]:
        """The secret and the replay window of a source; 404 where there is none such, or no secret for it."""
        known = name == webhook.SOURCE or name in self.sources
        section = getattr(self.reception.world.settings.webhooks, name, None) if known else None
        secret = section.in_clear("secret") if section is not None else None
        if section is None or not secret:
            raise Refused(404, "unknown_source", "no such source, or no secret is configured for it")
        return secret, section.replay_window
