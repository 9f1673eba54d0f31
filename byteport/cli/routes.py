"""`routes`: what alerts become, and which runbook takes them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import click

from byteport.cli.output import heading, print_json, table, with_json
from byteport.cli.scene import Scene

if TYPE_CHECKING:
    from byteport.engine.routing import Considered, Explained, Routing
    from byteport.sources.incoming import Heard

LARGEST = 1024 * 1024


@click.group()
def routes() -> None:
    """From alerts to signals, targets and runbooks."""


@routes.command("list")
@with_json
@click.pass_obj
def list_(scene: Scene, as_json: bool) -> None:
    """List the routes in the order in which they are tried: yours, then the built-in ones."""
    routing = _routing(scene)
    rows = [("yours", n, route) for n, route in enumerate(routing.own)]
    rows += [("built in", n, route) for n, route in enumerate(routing.shipped)]
    if as_json:
        print_json([{"of": of, "place": n, **route.model_dump(mode="json")} for of, n, route in rows])
        return
    table(
        ["OF", "ROUTE", "SELECTS", "SIGNAL", "TARGET", "RUNBOOK"],
        [
            (of, route.name or n, _selects(route), route.signal, f"{route.target.kind}:{route.target.key}",
             _takes(routing, route))
            for of, n, route in rows
        ],
        none="no route: every alert is left alone",
    )  # fmt: skip


@routes.command()
@click.argument("file", type=click.File("rb"))
@click.option("--source", default="alertmanager", show_default=True, help="Whose form FILE has.")
@click.option("--header", "headers", multiple=True, help="NAME: VALUE, where the source tells something by headers.")
@with_json
@click.pass_obj
def test(scene: Scene, file: IO[bytes], source: str, headers: tuple[str, ...], as_json: bool) -> None:
    """Show what the payload in FILE (- is standard input) would become: signal, target and runbook for each alert, and
    why no other. Nothing is sent, stored or checked for its signature."""
    from byteport.model.alert import Alert

    routing, heard = _routing(scene), _heard(file, source, headers)
    explained = [routing.explain(one) if isinstance(one, Alert) else one for one in heard]
    if as_json:
        print_json([_as_json(one) for one in explained])
        return
    if not explained:
        click.echo("an event of no interest: nothing would be taken")
    for one in explained:
        _show(one)


def _routing(scene: Scene) -> Routing:
    """Without any store: routes and runbooks are configuration."""
    from byteport import plugins, wiring

    settings = scene.settings()
    return wiring.routing_of(settings, wiring.pages_of(settings, plugins.find(settings.pages_folder)))


def _heard(file: IO[bytes], source: str, headers: Sequence[str]) -> Sequence[Heard]:
    from byteport.errors import BadInput, BadSignal
    from byteport.sources.catalogue import SOURCES
    from byteport.sources.incoming import Incoming

    if source not in SOURCES:
        raise BadInput("--source", f"one of {', '.join(sorted(SOURCES))}, got {source!r}")
    body = file.read(LARGEST + 1)
    try:
        payload = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise BadSignal(getattr(file, "name", "FILE"), f"one JSON object of at most {LARGEST} bytes")
    told = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
    return SOURCES[source].parse(payload, Incoming(told, body, time.time()))


def _as_json(one: Any) -> dict[str, Any]:
    from byteport.engine.routing import Explained

    if not isinstance(one, Explained):
        return {"problem": {"field": one.field, "expected": one.expected}}
    return {
        "alert": one.alert.model_dump(mode="json", exclude={"raw"}),
        "signal": one.signal.model_dump(mode="json", exclude={"raw"}) if one.signal else None,
        "runbook": one.takes.name if one.takes else None,
        "why_not": one.why_not,
        "others": [{"runbook": name, "why_not": why} for name, why in one.others],
        "routes": [{"route": _named(tried), "own": tried.own, "why_not": tried.why_not} for tried in one.considered],
    }


def _show(one: Explained | Any) -> None:
    from byteport.engine.routing import Explained

    if not isinstance(one, Explained):
        heading("Malformed")
        click.echo(f"{one.field}: {one.expected}")
        return
    alert = one.alert
    heading(f"{alert.name} ({'resolved' if alert.resolved else 'firing'}, {alert.severity})")
    for name, value in alert.labels.items():
        click.echo(f"  {name}={value}")
    own = [tried for tried in one.considered if tried.why_not and tried.own]
    for tried in own:
        click.echo(f"route {_named(tried)}: {tried.why_not}")
    if one.considered and not one.considered[-1].why_not:
        click.echo(f"route {_named(one.considered[-1])} fits")
    else:
        click.echo(f"none of {len(one.considered)} routes fits" if one.considered else "there is no route")
    if one.signal is not None and one.takes is not None:
        word = "its end is noted for" if alert.resolved else "goes to"
        click.echo(f"signal {one.signal.name} on {one.signal.target}: {word} {one.takes.name}")
    elif one.why_not:
        click.echo(f"left alone: {one.why_not}")
    for name, why in one.others:
        click.echo(f"not {name}: {why}")


def _named(tried: Considered) -> str:
    of = "" if tried.own else " (built in)"
    return f"{tried.route.name or tried.place}{of}"


def _selects(route: Any) -> str:
    parts = [f"source={route.source}"] if route.source else []
    parts += [f"{label}={value}" for label, value in route.match.items()]
    parts += [f"{label}=~{pattern}" for label, pattern in route.match_regex.items()]
    return " ".join(parts)


def _takes(routing: Routing, route: Any) -> str:
    claimants = routing.pages.claimants(route.signal, route.target.kind)
    return claimants[0].name if claimants else "-"
