"""`doctor`: is everything reachable, current and allowed? Each answer says what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from byteport.cli.output import print_json, table, toned, with_json
from byteport.cli.scene import Scene

if TYPE_CHECKING:
    from byteport.settings import Settings

MOST_SKEW = 5.0
Word = Literal["ok", "warning", "failed"]
TONES: dict[Word, str] = {"ok": "good", "warning": "waiting", "failed": "bad"}


@dataclass(frozen=True)
class Finding:
    """One answer."""

    check: str
    word: Word
    detail: str


@click.command()
@with_json
@click.pass_obj
def doctor(scene: Scene, as_json: bool) -> int:
    """Check stores, clocks, migrations, databases, grants and hosts; exit 1 when something failed."""
    found = list(findings(scene))
    sick = any(finding.word == "failed" for finding in found)
    if as_json:
        print_json({"ok": not sick, "findings": [finding.__dict__ for finding in found]})
    else:
        table(["CHECK", "ANSWER", "DETAIL"], [(f.check, toned(f.word, TONES[f.word]), f.detail) for f in found])
    return 1 if sick else 0


def findings(scene: Scene) -> Iterator[Finding]:
    """Every check; one that fails keeps none of the others from being made."""
    from byteport.cli.stores import found
    from byteport.errors import BadConfiguration

    settings = scene.settings()
    yield from _configuration(settings)
    try:
        with found(settings) as reachable:
            yield from _stores(reachable)
            yield from _databases(reachable)
            yield from _hosts(reachable)
    except BadConfiguration as wrong:
        for key, expected in wrong.problems:
            yield Finding(key, "failed", expected)


def _configuration(settings: Settings) -> Iterator[Finding]:
    from byteport import plugins
    from byteport.settings.pages import problems_with

    loaded = plugins.find(settings.pages_folder)
    for lost in loaded.broken:
        yield Finding(f"runbook {lost.name}", "failed", f"of {lost.origin} did not load: {lost.why}")
    problems = problems_with(settings, loaded.pages)
    for key, expected in problems:
        yield Finding(key, "failed", expected)
    if not problems:
        yield Finding("configuration", "ok", f"digest {settings.digest()}, {len(loaded.pages)} runbooks")


def _stores(settings: Settings) -> Iterator[Finding]:
    from byteport.adapters.budgets import RedisBudgets
    from byteport.adapters.ledger import PostgresLedger

    ledger = PostgresLedger(settings.ledger_dsn)
    try:
        yield _tried("ledger", ledger.check, "reachable, migrations are current")
        with suppress(Exception):  # told by the line before
            skew = abs(ledger.figures().now.timestamp() - time.time())
            yield Finding(
                "clock skew", "ok" if skew < MOST_SKEW else "failed", f"{skew:.1f} s, at most {MOST_SKEW:g} s"
            )
            yield _durability(ledger)
            yield from _agreement(settings, ledger)
    finally:
        ledger.close()
    for name in ("budgets", "broker"):
        url = settings.in_clear(f"{name}_url") or settings.in_clear("broker_url")
        if url is None:
            yield Finding(name, "failed", f"{name}_url: redis://… in BYTEPORT_{name.upper()}_URL")
            continue
        redis = RedisBudgets(url)
        try:
            yield _tried(name, redis.check, "reachable, maxmemory-policy is noeviction")
        finally:
            redis.close()


def _durability(ledger: Any) -> Finding:
    """A ledger that may lose a commit is refused for acting, and only noted while everything is a dry run."""
    found = _tried("ledger durability", ledger.check_durable, "a commit is on disk when it is answered")
    if found.word == "failed" and not any(row.mode == "live" for row in ledger.promotions()):
        return Finding(found.check, "warning", found.detail)
    return found


def _agreement(settings: Settings, ledger: Any) -> Iterator[Finding]:
    """Workers whose configuration differs from this one refuse to act."""
    from byteport.model.target import Target, TargetKind

    standing = ledger.standing("", "", Target(kind=TargetKind.SERVICE, key="byteport"))
    others = sorted(set(standing.configurations) - {settings.digest()})
    if others:
        yield Finding("workers", "failed", f"run with another configuration than this one: {', '.join(others)}")
    elif not standing.configurations:
        yield Finding("workers", "warning", "none has registered in the last 10 min")
    else:
        yield Finding("workers", "ok", "all run with this configuration")


def _databases(settings: Settings) -> Iterator[Finding]:
    """Both logins of every database, with the one look that needs the grants."""
    from byteport import wiring

    if not settings.databases:
        yield Finding("databases", "warning", "none is configured")
    for role, login in (("probe", "looking login"), ("act", "acting login")):
        with wiring.build(settings, role=role) as world:  # type: ignore[arg-type]
            for name, database in settings.databases.items():

                def look(key: str = database.key, world: wiring.Wired = world) -> object:
                    return world.readers.database.state_breakdown(key)

                yield _tried(f"database {name}, {login}", look, f"{database.key}: sees every session")


def _hosts(settings: Settings) -> Iterator[Finding]:
    """Whether each lets us in, whether those that are to run commands can, and whether their clouds let us look: many
    at once, so that one that hangs costs its own time and no other's."""
    from concurrent.futures import ThreadPoolExecutor

    from byteport.adapters.cloud_volumes import CloudVolumes
    from byteport.adapters.host_units import UserUnits
    from byteport.adapters.hosts import Hosts

    hosts = Hosts(settings.hosts)

    def let_in(name: str) -> Finding:
        return _tried(f"host {name}", lambda: hosts.get(name).run(("true",)), "lets us in")

    def lingers(name: str) -> Finding:
        return _tried(f"host {name}, commands", lambda: UserUnits(hosts).check(name), "the user lingers")

    clouds = {name: one.cloud for name, one in settings.hosts.items() if one.cloud is not None}
    volumes = CloudVolumes(hosts, clouds)

    def shows(name: str) -> Finding:
        return _tried(f"host {name}, cloud", lambda: volumes.check(name), f"{clouds[name].provider}: shows its disks")

    try:
        with ThreadPoolExecutor(max_workers=16, thread_name_prefix="doctor") as pool:
            yield from pool.map(let_in, settings.hosts)
            yield from pool.map(lingers, sorted(_named_hosts(settings) & set(settings.hosts)))
            yield from pool.map(shows, clouds)
    finally:
        hosts.close()


def _named_hosts(settings: Settings) -> set[str]:
    """Those that a runbook's option names."""
    from byteport import plugins

    pages = {page.name: page for page in plugins.find(settings.pages_folder).pages}
    return {
        str(settings.runbooks[name].options.get(option.name))
        for name, page in pages.items()
        if name in settings.runbooks
        for option in page.options
        if option.names == "hosts"
    }


def _tried(check: str, ask: Callable[[], object], good: str) -> Finding:
    from byteport.errors import BytePortError
    from byteport.redaction import redact_text

    try:
        ask()
    except BytePortError as problem:
        return Finding(check, "failed", redact_text(str(problem)))
    return Finding(check, "ok", good)
