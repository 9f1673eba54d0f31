"""The routes that come with BytePort."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from byteport.model.route import Route


@cache
def default_routes() -> tuple[Route, ...]:
    """For the alert names that exporters and their usual rules bring; `routes.yaml` beside this file."""
    told = yaml.safe_load((files("byteport.sources") / "routes.yaml").read_text("utf-8"))
    return tuple(Route.model_validate(route) for route in told)
