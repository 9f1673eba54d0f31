"""The HTTP application: routes and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from byteport.errors import BytePortError
from byteport.web.answers import answer_to, problem
from byteport.web.api import Api
from byteport.web.console import Console
from byteport.web.door import Door
from byteport.web.figures import Counted, Metrics
from byteport.web.interactions import Interactions
from byteport.web.openapi import described
from byteport.web.pages import HERE, Templates
from byteport.web.reception import Reception
from byteport.web.serving import (
    Call,
    Endpoint,
    Hardened,
    Served,
    for_anybody,
    for_anybody_at_once,
    for_people,
    for_programs,
)
from byteport.web.standing_pages import StandingPages
from byteport.web.tokens import token_of
from byteport.web.webhooks import Webhooks
from byteport.web.world import World
from byteport.wiring_channels import slack_answers


def create(world: World) -> Starlette:
    """The service over a wired world. Raises BadConfiguration where there is no token to protect it with."""
    token_of(world.settings)
    door = Door(lambda: token_of(world.settings))
    reception = Reception(world, Counted(world.ledger.figures))
    return Starlette(
        routes=[
            # Routes are tried in this order, and this one is asked for by far the most.
            Route("/webhooks/{source}", for_anybody_at_once(Webhooks(reception).receive), methods=["POST"]),
            Route("/healthz", lambda _request: PlainTextResponse("ok\n")),
            *_for_programs(world, door, reception),
            *_for_people(Console(world, door, Templates()), door),
            Route("/slack/interactions", for_anybody(Interactions(world, slack_answers()).receive), methods=["POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(Hardened)],
        exception_handlers={404: _not_found, 405: _not_allowed, 500: _bug},
    )


def _for_programs(world: World, door: Door, reception: Reception) -> list[Route]:
    api, metrics = Api(world, reception), Metrics(world.ledger.figures, reception.heeded)

    def get(path: str, endpoint: Endpoint) -> Route:
        return Route(path, for_programs(door, endpoint), methods=["GET"])

    def post(path: str, endpoint: Endpoint) -> Route:
        return Route(path, for_programs(door, endpoint), methods=["POST"])

    return [
        get("/readyz", lambda _call: _ready(world)),
        get("/metrics", lambda _call: Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")),
        get("/api/v1/openapi.json", lambda _call: JSONResponse(described())),
        post("/api/v1/signals", api.signals),
        get("/api/v1/incidents", api.incidents),
        get("/api/v1/incidents/{id}", api.incident),
        get("/api/v1/incidents/{id}/events", api.events),
        get("/api/v1/incidents/{id}/explanation", api.explanation),
        get("/api/v1/incidents/{id}/postmortem", api.postmortem),
        get("/api/v1/silences", api.silences),
        get("/api/v1/storms", api.storms),
        get("/api/v1/pollers", api.pollers),
        get("/api/v1/runbooks", api.runbooks),
        get("/api/v1/runbooks/{slug}", api.runbook),
        get("/api/v1/guards", api.guards),
        post("/api/v1/pause", api.pause),
        post("/api/v1/resume", api.resume),
    ]


def _for_people(console: Console, door: Door) -> list[Route]:
    def people(endpoint: Callable[[Call], Response]) -> Served:
        return for_people(door, endpoint)

    standing = StandingPages(console.world, console.page)
    return [
        Route("/login", for_anybody(console.login), methods=["GET"]),
        Route("/login", for_anybody(console.enter), methods=["POST"]),
        Route("/logout", people(console.leave), methods=["POST"]),
        Route("/", people(console.incidents), methods=["GET"]),
        Route("/incidents/{id}", people(console.incident), methods=["GET"]),
        Route("/incidents/{id}", people(console.command), methods=["POST"]),
        Route("/runbooks", people(console.runbooks), methods=["GET"]),
        Route("/runbooks/{slug}", people(console.runbook), methods=["GET"]),
        Route("/guards", people(console.guards), methods=["GET"]),
        Route("/silences", people(standing.silences), methods=["GET"]),
        Route("/silences", people(standing.silence), methods=["POST"]),
        Route("/silences/{id}/end", people(standing.end_silence), methods=["POST"]),
        Route("/storms/{runbook}/end", people(standing.end_storm), methods=["POST"]),
        Route("/sources", people(standing.sources), methods=["GET"]),
        Route("/pause", people(console.pause), methods=["POST"]),
        Route("/resume", people(console.resume), methods=["POST"]),
    ]


def _ready(world: World) -> Response:
    """200 while the ledger answers: signals can be stored."""
    try:
        now = world.ledger.figures().now
    except BytePortError as wrong:
        return answer_to(wrong)
    return JSONResponse({"ready": True, "now": now.isoformat()})


def _not_found(_request: Request, _wrong: Exception) -> Response:
    return problem(404, "not_found", "there is nothing here")


def _not_allowed(_request: Request, _wrong: Exception) -> Response:
    return problem(405, "not_allowed", "not with this method")


def _bug(_request: Request, wrong: Exception) -> Response:
    return answer_to(wrong)
