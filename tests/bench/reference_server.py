"""BytePort's own server stack with another handler behind it: what intake is measured against.

`python -m tests.bench.reference_server validate` only checks who sent a message and whether it is a signal; `insert`
also stores each by itself, one INSERT and one commit a request, as one writes it first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import uvicorn
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from byteport.model.signal import Signal
from byteport.settings import Settings
from byteport.sources import webhook
from byteport.sources.incoming import Incoming
from byteport.web.bodies import json_of
from byteport.web.serving import Call, Hardened, for_anybody

TABLE = """
create table if not exists public.bench_signals (
    event_id text primary key, received_at timestamptz not null default now(), signal jsonb not null
)
"""
INSERT = "insert into public.bench_signals (event_id, signal) values (%s, %s) on conflict (event_id) do nothing"


def handler(secret: str, keep: Callable[[Signal], None]) -> Callable[[Call], Response]:
    """Signature, form, and whatever `keep` does, before the 202."""

    def receive(call: Call) -> Response:
        headers = {key.lower(): value for key, value in call.request.headers.items()}
        incoming = Incoming(headers, call.body, time.time())
        delivery = webhook.verify(incoming.body, incoming.header(webhook.HEADER), secret, incoming.now, 300)
        keep(webhook.parse(json_of(incoming.body), incoming.at, delivery))
        return JSONResponse({"stored": True}, 202)

    return receive


def inserting(url: str) -> Callable[[Signal], None]:
    """As many connections as BytePort's own pool has; each statement is a transaction of its own."""
    pool = ConnectionPool(url, kwargs={"autocommit": True, "prepare_threshold": 0}, min_size=4, max_size=4, open=True)
    with pool.connection() as connection:
        connection.execute(TABLE)

    def keep(signal: Signal) -> None:
        with pool.connection() as connection:
            connection.execute(INSERT, [signal.event_id, Jsonb(signal.model_dump(mode="json"))])

    return keep


def main(what: str) -> None:
    settings = Settings.load()
    secret = settings.webhooks.generic.in_clear("secret") or ""
    keep = inserting(settings.ledger_dsn) if what == "insert" else lambda _signal: None
    app = Starlette(
        routes=[Route("/webhooks/generic", for_anybody(handler(secret, keep)), methods=["POST"])],
        middleware=[Middleware(Hardened)],
    )
    uvicorn.run(
        app, host=settings.web.host, port=settings.web.port, access_log=False, log_config=None,
        server_header=False, proxy_headers=False, limit_concurrency=200,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
