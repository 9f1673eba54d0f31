"""What a command works with: the configuration, and a wired world on whatever stores can be found."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byteport.settings import Settings
    from byteport.wiring import Role, Wired


@dataclass(frozen=True)
class Scene:
    """Made of the options that stand before the command. Nothing is read before it is needed."""

    config: Path | None = None
    data_dir: Path | None = None

    def settings(self) -> Settings:
        """Read anew each time; raises BadConfiguration, with what is wrong about runbooks too."""
        from byteport.errors import BadConfiguration
        from byteport.settings import Settings

        environ = dict(os.environ)
        if self.data_dir is not None:
            environ["BYTEPORT_DATA_DIR"] = str(self.data_dir)
        try:
            return Settings.load(self.config, environ)
        except BadConfiguration as wrong:
            raise BadConfiguration(tuple(dict.fromkeys((*wrong.problems, *self._about_runbooks(environ))))) from None

    def _about_runbooks(self, environ: Mapping[str, str]) -> list[tuple[str, str]]:
        from byteport import plugins
        from byteport.settings import Settings, sources
        from byteport.settings.pages import problems_told

        told, _ = sources.told_by(Settings, self.config, environ)
        folder = told.get("pages_folder")
        return problems_told(told, plugins.find(Path(folder) if isinstance(folder, str) else None).pages)

    @contextmanager
    def world(self, role: Role = "cli", *, settings: Settings | None = None, starts: bool = False) -> Iterator[Wired]:
        """A wired world: on the configured stores, else on those of a running `byteport up`, else (`starts`) on
        embedded ones for as long as the command takes. Raises BadConfiguration."""
        with self.built(role, settings=settings, starts=starts) as world:
            yield world

    @contextmanager
    def built(
        self, role: Role, *, settings: Settings | None = None, starts: bool = False, **wired: Any
    ) -> Iterator[Wired]:
        """`world`, with more for the wiring (`driver`)."""
        from byteport import logs, wiring
        from byteport.cli.stores import found

        if role != "web":  # standard output is the command's own; what it has to say is no log
            logs.configure(level=logging.ERROR, form="console")
        with ExitStack() as stack:
            reachable = stack.enter_context(found(settings or self.settings(), starts=starts))
            yield stack.enter_context(wiring.build(reachable, role=role, **wired))


def person() -> str:
    """Who gives the command, as the journal tells it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
