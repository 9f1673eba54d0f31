"""The `byteport` command. Asking for help imports no client library; commands import what they need when they run."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from byteport import __version__
from byteport.cli.ending import ended_by
from byteport.cli.scene import Scene

HOMES = {
    "up": "fleet:up",
    "demo": "fleet:demo",
    "web": "fleet:web",
    "migrate": "fleet:migrate",
    "run": "run:run",
    "signal": "signals:signal",
    "routes": "routes:routes",
    "incidents": "incidents:incidents",
    "replay": "replay:replay",
    "runbooks": "runbooks:runbooks",
    "promote": "runbooks:promote",
    "permissions": "permissions:permissions",
    "guards": "standing:guards",
    "silence": "silences:silence",
    "storm": "storms:storm",
    "pause": "standing:pause",
    "resume": "standing:resume",
    "doctor": "doctor:doctor",
}


class Commands(click.Group):
    """Each command lives in a module of its own, fetched when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in HOMES:
            return None
        module, _, name = HOMES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"byteport.cli.{module}"), name)
        return command


@click.command("byteport", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="byteport")
@click.option(
    "--config", type=click.Path(path_type=Path), help="byteport.yaml (else BYTEPORT_CONFIG, ./ or /etc/byteport/)."
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder for embedded servers and files.")
@click.pass_context
def app(ctx: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Signals become incidents; incidents are diagnosed, treated inside hard limits, verified and told."""
    ctx.obj = Scene(config, data_dir)


def main() -> None:
    """The entry point. Every error ends as one clear line on standard error and an exit code of platform.md."""
    ended_by(lambda: app.main(prog_name="byteport", standalone_mode=False))
