"""`incidents verify`: was the journal changed behind BytePort's back?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from byteport.cli.output import print_json, table, with_json
from byteport.cli.scene import Scene

if TYPE_CHECKING:
    from byteport.shown.audit import Audit
    from byteport.wiring import Wired


@click.command()
@click.argument("incident", required=False, default="")
@click.option("--all", "every", is_flag=True, help="Every incident, and the anchor over all of them.")
@click.option("--as-of", default="", help="With --all: the anchor as it was then, to compare with the log's line.")
@with_json
@click.pass_obj
def verify(scene: Scene, incident: str, every: bool, as_of: str, as_json: bool) -> int:
    """Check the journal's chain of hashes and name the first break; exits 1 where there is one."""
    if bool(incident) == every:
        raise click.UsageError("the id of an incident, or --all")
    if as_of and not every:
        raise click.UsageError("--as-of goes with --all")
    moment = _moment(as_of)
    with scene.world() as world:
        audit = _audited(world, incident, moment)
    if as_json:
        from byteport.shown.audit import as_json as told_as_json

        print_json(told_as_json(audit))
    else:
        _told(audit, incident)
    return 0 if audit.is_whole else 1


def _moment(text: str) -> datetime | None:
    """Raises UsageError; a time without a zone is UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError("--as-of: a time as the log has it, such as 2026-01-31T06:07:00+00:00") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _audited(world: Wired, incident: str, moment: datetime | None) -> Audit:
    from byteport.errors import BadInput
    from byteport.shown import audit

    if not incident:
        return audit.of_all(world.ledger, world.engine.anchor(moment))
    if world.ledger.incident(incident) is None and not world.ledger.events(incident):
        raise BadInput("incident", f"the id of an incident, got {incident!r}")
    return audit.of_one(world.ledger, incident)


def _told(audit: Audit, incident: str) -> None:
    if audit.breaks:
        rows = [(one.incident, one.seq, one.what, one.detail) for one in audit.breaks]
        table(["INCIDENT", "LINE", "WHAT", "HOW IT SHOWS"], rows)
    elif incident:
        click.echo(f"the journal of {incident} is whole")
    if incident:
        return
    journals = f"{audit.journals} journal{'' if audit.journals == 1 else 's'}"
    click.echo(f"{journals}, {len(audit.breaks)} broken" if audit.breaks else f"{journals}, all whole")
    if (anchor := audit.anchor) is not None:
        click.echo(f"anchor {anchor.digest} over {anchor.incidents} incidents as of {anchor.as_of.isoformat()}")
