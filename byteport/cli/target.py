"""What `run` is pointed at: a database, a host, a mount of one, or a service on one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from byteport.model.target import Target
    from byteport.settings import Settings

GIVEN = "given"


@dataclass(frozen=True)
class Chosen:
    """The settings with it, and whether they had it already: a fleet knows only what its own configuration names."""

    settings: Settings
    target: Target
    configured: bool = True


def chosen(settings: Settings, db: str, host: str, mount: str, unit: str) -> Chosen:
    """One of a database and a host; raises BadInput for anything else, and for what is not configured."""
    from byteport.errors import BadInput

    if bool(db) is bool(host):
        raise BadInput("target", "--db or --host, one of the two")
    if db:
        if mount or unit:
            raise BadInput("--mount", "goes with --host, and so does --unit")
        return _database(settings, db)
    return Chosen(settings, _on_host(settings, host, mount, unit))


def _database(settings: Settings, db: str) -> Chosen:
    """The configured database of that name or key; a URL that is not configured is added for this run."""
    from pydantic import SecretStr, ValidationError

    from byteport.errors import BadInput
    from byteport.settings import DatabaseSection
    from byteport.settings.sources import problems_of

    if "://" not in db:
        if name := next((name for name, known in settings.databases.items() if db in (name, known.key)), ""):
            return Chosen(settings, settings.target_of(name))
        known_names = ", ".join(sorted(settings.databases)) or "none is configured"
        raise BadInput("--db", f"a configured database ({known_names}) or a postgresql:// URL")
    try:
        given = DatabaseSection(url=SecretStr(db))
    except ValidationError as wrong:
        raise BadInput("--db", next(problems_of(wrong, DatabaseSection))[1]) from None
    if name := next((name for name, known in settings.databases.items() if known.key == given.key), ""):
        return Chosen(settings, settings.target_of(name))
    more = settings.model_copy(update={"databases": {**settings.databases, GIVEN: given}})
    return Chosen(more, more.target_of(GIVEN), configured=False)


def _on_host(settings: Settings, host: str, mount: str, unit: str) -> Target:
    from byteport.errors import BadInput
    from byteport.model.target import Target, TargetKind

    name = next((name for name, one in settings.hosts.items() if host in (name, one.address)), None)
    if name is None:
        raise BadInput("--host", f"a configured host ({', '.join(sorted(settings.hosts)) or 'none is configured'})")
    if mount and (unit or not mount.startswith("/")):
        raise BadInput("--mount", "an absolute path, and no unit beside it")
    where = {"host": name, "group": settings.hosts[name].group}
    if unit:
        key = f"{unit}@{name}"
        return Target(kind=TargetKind.SERVICE, key=key, within=(f"host:{name}",), coordinates={**where, "unit": unit})
    if mount:
        where |= {"mount": mount}
        return Target(kind=TargetKind.HOST, key=f"{name}:{mount}", within=(f"host:{name}",), coordinates=where)
    return Target(kind=TargetKind.HOST, key=name, coordinates=where)
