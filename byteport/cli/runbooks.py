"""`runbooks` and `promote`: what is installed, read off the pages, and the mode that people give it."""

from __future__ import annotations

from typing import Any

import click

from byteport.cli.output import heading, print_json, table, with_json
from byteport.cli.scene import Scene, person


@click.group()
def runbooks() -> None:
    """The installed runbooks."""


def _installed(scene: Scene) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Pages, those that are broken, policy, and promotions where a ledger can be found: listing needs no server."""
    from byteport import plugins, wiring
    from byteport.cli.stores import found as stores_found
    from byteport.engine.pages import Pages
    from byteport.errors import BadConfiguration
    from byteport.wiring_policy import policy_of

    settings = scene.settings()
    loaded = plugins.find(settings.pages_folder)
    promotions: dict[str, Any] = {}
    try:
        with stores_found(settings) as reachable, wiring.build(reachable, role="cli") as world:
            promotions = {row.runbook: row for row in world.ledger.promotions()}
    except BadConfiguration as wrong:
        if {key for key, _ in wrong.problems} - {"database_url", "broker_url"}:
            raise
        # no stores are configured: nobody can have promoted anything
    return Pages(loaded.pages), loaded.broken, policy_of(settings), promotions


@runbooks.command("list")
@with_json
@click.pass_obj
def list_(scene: Scene, as_json: bool) -> None:
    """List them with the mode that holds now."""
    from byteport.shown.runbook import listed

    pages, broken, policy, promotions = _installed(scene)
    rows = listed(pages, policy, promotions)
    if as_json:
        print_json(rows)
    else:
        table(
            ["RUNBOOK", "CATEGORY", "MODE", "TITLE"],
            [(row["slug"], row["category"], row["mode"], row["title"]) for row in rows],
            none="no runbook is installed",
        )
    for lost in broken:
        click.echo(f"byteport: {lost.name} of {lost.origin} did not load: {lost.why}", err=True)


@runbooks.command()
@click.argument("slug")
@with_json
@click.pass_obj
def show(scene: Scene, slug: str, as_json: bool) -> None:
    """Show one, read off its page."""
    from byteport.shown.runbook import shown

    pages, _, policy, promotions = _installed(scene)
    page = pages[slug]
    told = shown(page, policy, promotions.get(page.name))
    if as_json:
        print_json(told)
        return
    click.secho(f"{told['title']}  ({told['slug']}, {told['mode']})", bold=True)
    click.echo(told["summary"])
    claimed = [f"{signal['name']} ({signal['threshold']})" for signal in told["signals"]]
    click.echo(f"signals: {'; '.join(claimed)}")
    click.echo(f"critical: {told['critical']}; leaves a target alone for {told['cooldown_seconds']:g} s after acting")
    heading("Classes, in order")
    table(["CLASS", "CONFIDENCE", "THEN"], [(c["name"], c["confidence"], c["disposition"]) for c in told["classes"]])
    heading("Moves")
    table(["MOVE", "GUARDS"], [(move["name"], ", ".join(move["guards"])) for move in told["moves"]])
    heading("Guards")
    columns = ("name", "kind", "limit", "window_seconds", "scope", "value")
    table([c.upper() for c in columns], [[guard[c] for c in columns] for guard in told["guards"]])
    heading("Verification")
    for check in told["verify"]["checks"]:
        click.echo(f"- {check}")
    heading("Options")
    table(["OPTION", "DEFAULT", "MEANING"], [(o["name"], o["default"], o["meaning"]) for o in told["config"]])


@runbooks.command()
@with_json
@click.pass_obj
def check(scene: Scene, as_json: bool) -> int:
    """Load every page and the configuration's words about them; exit 2 where one is wrong."""
    from byteport import plugins
    from byteport.engine.pages import Pages
    from byteport.settings.pages import problems_with

    settings = scene.settings()
    loaded = plugins.find(settings.pages_folder)
    pages, broken = Pages(loaded.pages), loaded.broken
    problems = [(lost.name, f"a page that loads: {lost.why}") for lost in broken]
    problems += problems_with(settings, pages.all)
    if as_json:
        print_json({"ok": not problems, "problems": [{"key": key, "expected": told} for key, told in problems]})
    for key, expected in problems:
        click.echo(f"byteport: {key}: {expected}", err=True)
    if not problems and not as_json:
        click.echo(f"{len(pages.all)} runbook{'' if len(pages.all) == 1 else 's'} in order")
    return 2 if problems else 0


@click.command()
@click.argument("slug")
@click.option("--mode", type=click.Choice(["live", "approve", "dry_run"]), default="live", show_default=True)
@click.option("--override", is_flag=True, help="Without the checklist; needs --why.")
@click.option("--why", default="", help="For the record.")
@with_json
@click.pass_obj
def promote(scene: Scene, slug: str, mode: str, override: bool, why: str, as_json: bool) -> None:
    """Let signals act with a runbook (live), ask first (approve), or only show (dry_run)."""
    from byteport.model.signal import Mode

    wanted = Mode(mode)
    if wanted is not Mode.DRY_RUN and not (override and why.strip()):
        raise click.UsageError("--override and --why: a person answers for letting a runbook act")
    with scene.world() as world:
        page = world.pages[slug]
        promotion = world.ledger.promote(page.name, wanted, person(), why.strip() or "back to dry run")
        holds = world.policy.mode_of(page.name, promotion)
        switch = world.policy.forbidding_switch(page.name)
    if as_json:
        print_json({**promotion.model_dump(mode="json"), "holds": str(holds)})
        return
    click.echo(f"{page.name}: {wanted}")
    if holds is not wanted:
        click.echo(f"but {holds} holds, because of {switch or 'the configured mode'}", err=True)
