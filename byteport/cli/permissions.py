"""`permissions`: the least rights that a runbook needs, as statements that somebody with more rights runs."""

from __future__ import annotations

import click

from byteport.cli.scene import Scene


@click.command()
@click.argument("runbook")
@click.option("--format", "form", type=click.Choice(["sql"]), default="sql", show_default=True)
@click.option("--probe-role", default="byteport_probe", show_default=True, help="Login that looks.")
@click.option("--act-role", default="byteport_act", show_default=True, help="Login that acts.")
@click.pass_obj
def permissions(scene: Scene, runbook: str, form: str, probe_role: str, act_role: str) -> None:
    """Write what RUNBOOK's two logins need."""
    from byteport import plugins
    from byteport.engine.pages import Pages
    from byteport.errors import BadInput

    page = Pages(plugins.find(scene.settings().pages_folder).pages)[runbook]
    wanted = page.permissions.get(form, ())
    if not wanted:
        raise BadInput("--format", f"one that {page.name} needs: {', '.join(sorted(page.permissions)) or 'none'}")
    for line in statements(page.name, tuple(wanted), probe_role, act_role):
        click.echo(line)


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
