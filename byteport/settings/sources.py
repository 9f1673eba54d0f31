"""Where the configuration is read from (one file, and the environment, which wins), and what is wrong with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from byteport.errors import BadConfiguration

PREFIX = "BYTEPORT_"
NOT_SETTINGS = frozenset(
    {
        "BYTEPORT_CONFIG", "BYTEPORT_DEBUG", "BYTEPORT_DEMO_CLIENTS", "BYTEPORT_DEMO_CLIENTS_URL",
        "BYTEPORT_IMAGE", "BYTEPORT_PORT", "BYTEPORT_BASE_URL",  # the compose file's own
    }
)  # fmt: skip
# Kubernetes tells every pod of the services beside it: BYTEPORT_WEB_SERVICE_HOST, BYTEPORT_WEB_PORT=tcp://…
SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
LINKED = ("tcp://", "udp://", "sctp://")
PLACES = (Path("byteport.yaml"), Path("/etc/byteport/byteport.yaml"))
LARGEST = 1024 * 1024
NOT_KEYS = ("literal['']", "constrained-str", "[key]")
PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "string_type": "must be a text",
}


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which YAML itself would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


class _GivenEnvironment(EnvSettingsSource):
    """The environment that was handed over, rather than the process's own."""

    def __init__(self, settings: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value != ""}


Problems = list[tuple[str, str]]


def told_by(
    settings: type[BaseSettings], path: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], Problems]:
    """What file and environment say together, and what could not be read of either."""
    problems: Problems = []
    file = file_of(path, environ)
    below: dict[str, Any] = {}
    try:
        below = from_file(file) if file is not None else {}
    except BadConfiguration as wrong:
        problems += wrong.problems
    above, unreadable = from_environment(settings, environ)
    return merged(below, above), problems + unreadable


def from_environment(settings: type[BaseSettings], environ: Mapping[str, str]) -> tuple[dict[str, Any], Problems]:
    """What `BYTEPORT_*` says, `__` between a section and its key, and the variables that hold no readable JSON."""
    problems: Problems = []
    left = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    while True:
        try:
            return dict(_GivenEnvironment(settings, left)()), problems
        except SettingsError as problem:
            field = str(problem).partition('"')[2].partition('"')[0]
            wrong = [name for name in left if name.upper() == f"{PREFIX}{field}".upper()]
            problems.append((field, f"JSON in {PREFIX}{field.upper()}, or one variable for each key"))
            left = {name: value for name, value in left.items() if name not in wrong} if wrong else {}


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """`upper` over `lower`, mapping by mapping; a secret's value displaces its file and the other way round."""
    told = {
        key: value for key, value in lower.items() if not {f"{key}_file", str(key).removesuffix("_file")} & {*upper}
    }
    told |= {key: value for key, value in lower.items() if key in upper}
    for key, value in upper.items():
        below = told.get(key)
        told[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return told


def file_of(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The named file, the one that BYTEPORT_CONFIG names, or the first that exists of the usual places."""
    named = path or (Path(environ["BYTEPORT_CONFIG"]) if environ.get("BYTEPORT_CONFIG") else None)
    return named or next((place for place in PLACES if place.is_file()), None)


def from_file(path: Path) -> dict[str, Any]:
    """The file's mapping; an empty file is an empty one. Raises BadConfiguration and quotes nothing of the file."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        told = yaml.load(text.decode() if len(text) <= LARGEST else "[]", Loader=_StrictLoader)  # noqa: S506 - safe
    except OSError as problem:
        raise BadConfiguration(((str(path), f"a readable file ({problem.strerror})"),)) from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        why = getattr(problem, "problem", None) or "not UTF-8"
        raise BadConfiguration(((where, f"YAML ({why})"),)) from None
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise BadConfiguration(((str(path), "a mapping of settings, at most 1 MiB"),))
    return told


def strangers(settings: type[BaseSettings], environ: Mapping[str, str]) -> tuple[str, ...]:
    """BYTEPORT_ variables that are no settings: a switch that is misspelt must not be taken for one that is off."""
    known = _known(settings) | NOT_SETTINGS
    names = (name for name in environ if name.upper().startswith(PREFIX) and not _is_service_link(name, environ[name]))
    return tuple(sorted(n for n in names if n.upper() not in known and n.upper().partition("__")[0] not in known))


def _known(settings: type[BaseSettings]) -> frozenset[str]:
    return frozenset(f"{PREFIX}{name}".upper() for name in settings.model_fields)


def _is_service_link(name: str, value: str) -> bool:
    return bool(SERVICE_LINK.search(name)) or (name.endswith("_PORT") and value.startswith(LINKED))


def misspelt(settings: type[BaseSettings], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each stranger as (name, what was expected)."""
    for name in strangers(settings, environ):
        near = difflib.get_close_matches(name.upper(), sorted(_known(settings)), n=1, cutoff=0.8)
        yield name, "not a setting" + (f"; did you mean {near[0]!r}?" if near else "")


def problems_of(error: ValidationError, settings: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Every error as (key path, what was expected); no value is ever repeated."""
    for line in error.errors(include_url=False, include_input=False, include_context=True):
        location = [str(part) for part in line["loc"] if part not in NOT_KEYS]
        yield ".".join(location) or "configuration", _worded(line, location, settings)


def _worded(line: Mapping[str, Any], location: list[str], settings: type[BaseModel]) -> str:
    if line["type"] == "extra_forbidden":
        known = _keys_at(settings, location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"not a setting; {hint}"
    if line["type"] in PLAIN:
        return PLAIN[line["type"]]
    if "min_length" in line.get("ctx", {}):
        return f"must have at least {line['ctx']['min_length']} characters"
    if line["type"] == "string_pattern_mismatch":
        return f"must match {line['ctx']['pattern']}"
    text = str(line["msg"]).removeprefix("Value error, ")
    return text.replace("Input should be", "must be", 1).replace("Field required", "required")


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for name in path:
        field = model.model_fields.get(name)
        nested = _model_in(field) if field is not None else None
        model = nested or model
    return sorted(model.model_fields)


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
