"""Google's published description of Compute Engine's API, pruned to the methods that BytePort asks, and what is held to it.

As a script: `discovery.py WHEEL PRUNED` takes the description out of the wheel of Google's Python client and writes the
pruned one; `tests/install-descriptions` does it. The form is Google's own ("Discovery document"), not OpenAPI.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

PRUNED = Path(__file__).parents[1] / ".venv" / ".descriptions" / "compute-2.202.0.json"
INSIDE = "googleapiclient/discovery_cache/documents/compute.v1.json"
METHODS = (
    ("instances", "get"), ("disks", "get"), ("disks", "resize"), ("regionDisks", "get"), ("regionDisks", "resize"),
    ("zoneOperations", "get"), ("regionOperations", "get"),
)  # fmt: skip
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "boolean": bool, "array": list, "object": dict, "number": (int, float),
}  # fmt: skip
FORMATS = {"int64": r"-?\d{1,19}", "uint64": r"\d{1,20}"}


def pruned(whole: dict[str, Any]) -> dict[str, Any]:
    """Only our methods, and the schemas that they refer to."""
    methods = {f"{of}.{name}": whole["resources"][of]["methods"][name] for of, name in METHODS}
    schemas: dict[str, Any] = {}
    todo = re.findall(r'"\$ref": "([^"]+)"', json.dumps(methods))
    while todo:
        if (name := todo.pop()) not in schemas:
            schemas[name] = whole["schemas"][name]
            todo += re.findall(r'"\$ref": "([^"]+)"', json.dumps(schemas[name]))
    kept = {name: whole[name] for name in ("servicePath", "revision", "parameters")}
    return {**kept, "methods": methods, "schemas": schemas}


@cache
def compute() -> dict[str, Any]:
    """Fails, and says what to do, where it was not fetched."""
    assert PRUNED.exists(), "Google's description of its API is missing: run tests/install-descriptions"
    told: dict[str, Any] = json.loads(PRUNED.read_text("utf-8"))
    return told


def held_to_google(asked: Any, reply: Any) -> str:
    """The method that was asked, as `disks.get`. Raises where the request, or the answer to it, is not what Google has
    published."""
    name, method = _method(asked)
    allowed = {**compute()["parameters"], **method.get("parameters", {})}
    for given, value in asked.query.items():
        assert allowed.get(given, {}).get("location") == "query", f"{name} has no parameter {given}"
        _fits(value, allowed[given], given)
    if "request" in method:
        assert asked.headers["content-type"] == "application/json"
        _fits(asked.json, method["request"], name)
    else:
        assert not asked.body, f"{name} takes no body"
    if reply.status < 400:
        _fits(reply.body, method["response"], name)
    return name


def _method(asked: Any) -> tuple[str, dict[str, Any]]:
    path = asked.path.removeprefix(f"/{compute()['servicePath']}")
    for name, method in compute()["methods"].items():
        parts = re.split(r"\{(\w+)\}", method["path"])
        patterns = [f"(?:{method['parameters'][part]['pattern']})" if n % 2 else part for n, part in enumerate(parts)]
        if method["httpMethod"] == asked.method and re.fullmatch("".join(patterns), path):
            return name, method
    raise AssertionError(f"no method of ours is {asked.method} {asked.path}")


def _fits(value: Any, schema: dict[str, Any], at: str) -> None:
    """`value` has the schema's type, format and words, and nothing that the schema does not name."""
    if "$ref" in schema:
        return _fits(value, compute()["schemas"][schema["$ref"]], at)
    kind = schema["type"]
    if kind != "any":
        assert isinstance(value, TYPES[kind]), f"{at}: {value!r} is no {kind}"
    if kind == "string":
        assert "enum" not in schema or value in schema["enum"], f"{at}: {value!r} is none of {schema['enum']}"
        assert re.fullmatch(FORMATS.get(schema.get("format", ""), r"[\s\S]*"), value), f"{at}: {value!r}"
    for n, one in enumerate(value if kind == "array" else ()):
        _fits(one, schema["items"], f"{at}[{n}]")
    for name, one in value.items() if kind == "object" else ():
        known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        assert known is not None, f"{at} has no {name}"
        _fits(one, known, f"{at}.{name}")
    return None


if __name__ == "__main__":
    source, target = (Path(name) for name in sys.argv[1:3])
    with zipfile.ZipFile(source) as wheel:
        target.write_text(json.dumps(pruned(json.loads(wheel.read(INSIDE)))), "utf-8")
