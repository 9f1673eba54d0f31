"""`permissions`: the least rights that a runbook needs, as what somebody with more rights runs or installs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from byteport.cli.scene import Scene

if TYPE_CHECKING:
    from byteport.grammar.runbook import Runbook
    from byteport.settings import Settings


@click.command()
@click.argument("runbook")
@click.option("--format", "form", type=click.Choice(["sql", "sudoers", "aws", "gcp"]), default="sql", show_default=True)
@click.option("--probe-role", default="byteport_probe", show_default=True, help="Login that looks.")
@click.option("--act-role", default="byteport_act", show_default=True, help="Login that acts.")
@click.option("--user", default="byteport", show_default=True, help="Who logs in at hosts (sudoers).")
@click.option("--unit", "units", multiple=True, help="A system unit that may be treated (sudoers); repeatable.")
@click.pass_obj
def permissions(
    scene: Scene, runbook: str, form: str, probe_role: str, act_role: str, user: str, units: tuple[str, ...]
) -> None:
    """Write what RUNBOOK's logins need: grants for a database, a file for /etc/sudoers.d of its hosts, or the rights at
    a cloud."""
    from byteport import plugins
    from byteport.engine.pages import Pages

    settings = scene.settings()
    page = Pages(plugins.find(settings.pages_folder).pages)[runbook]
    if form == "sudoers":
        for line in as_root(settings, page, user, units):
            click.echo(line)
        return
    wanted = _wanted(page, form)
    for line in statements(page.name, wanted, probe_role, act_role) if form == "sql" else wanted:
        click.echo(line)


def as_root(settings: Settings, page: Runbook, user: str, units: Sequence[str]) -> list[str]:
    """With the options that are configured, since these decide the very words of some commands."""
    from byteport.errors import BadInput
    from byteport.shown.sudoers import sudoers

    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        raise BadInput("--user", "the name of a user")
    if wrong := [unit for unit in units if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,200}\.service", unit)]:
        raise BadInput("--unit", f"the name of a service (NAME.service), not {wrong[0]!r}")
    if page.as_root is None:
        _wanted(page, "sudoers")
        return []
    given = settings.runbooks[page.name].options if page.name in settings.runbooks else {}
    options = {option.name: given.get(option.name, option.default) for option in page.options}
    return list(sudoers(page.name, user, page.as_root(options, units)))


def _wanted(page: Runbook, form: str) -> tuple[str, ...]:
    from byteport.errors import BadInput

    forms = {*page.permissions, *(("sudoers",) if page.as_root is not None else ())}
    if not (wanted := tuple(page.permissions.get(form, ()))):
        raise BadInput("--format", f"one that {page.name} needs: {', '.join(sorted(forms)) or 'none'}")
    return wanted


def statements(page: str, wanted: tuple[str, ...], probe: str, act: str) -> list[str]:
    """Roles without passwords, and grants; run by a superuser, or by whoever may grant these two roles."""
    told = " ".join(wanted)
    looks, acts = _quoted(probe), _quoted(act)
    lines = [f"-- {page}: the least that its two logins need. Set passwords with \\password, not here."]
    for role, limit in ((looks, 4), (acts, 4)):
        lines += [
            f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT {limit};",
            f"ALTER ROLE {role} SET default_transaction_read_only = on;",
        ]
    if "pg_monitor" in told:
        lines += [f"GRANT pg_monitor TO {looks};", f"GRANT pg_monitor TO {acts};"]
    if "pg_signal_backend" in told:
        lines.append(f"GRANT pg_signal_backend TO {acts};")
    lines += [
        "-- PostgreSQL 16 and later, with reserved_connections > 0: a slot of their own when all others are taken.",
        f"-- GRANT pg_use_reserved_connections TO {looks}, {acts};",
    ]
    return [*lines, *(f"-- not SQL: {line}" for line in wanted if "pgbouncer" in line)]


def _quoted(role: str) -> str:
    """An SQL identifier; raises BadInput for what cannot be one."""
    from byteport.errors import BadInput

    if not role or "\x00" in role or len(role.encode()) > 63 or not role.isprintable():
        raise BadInput("role", "a name of at most 63 bytes")
    return '"' + role.replace('"', '""') + '"'
