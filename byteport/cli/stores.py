"""Where the stores are: configured, of a running `byteport up`, or embedded for as long as one command takes."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr

from byteport.errors import BadConfiguration
from byteport.settings import Settings

STATE = "up.json"
KEPT = "postgres"
URLS = ("database_url", "broker_url", "budgets_url")


@contextmanager
def found(settings: Settings, *, starts: bool = False) -> Iterator[Settings]:
    """The settings with stores in them. Raises BadConfiguration where there are none and none may be started."""
    if settings.in_clear("database_url") is not None:
        yield settings
    elif (urls := running(settings.data_dir)) is not None:
        yield with_stores(settings, urls)
    elif starts or (settings.data_dir / KEPT).is_dir():  # what an earlier `run` or `up` kept there can be read
        with embedded(settings.data_dir) as urls:
            yield with_stores(settings, urls)
    else:
        expected = f"postgresql://… in BYTEPORT_DATABASE_URL, or a running `byteport up` in {settings.data_dir}"
        raise BadConfiguration((("database_url", expected),))


def with_stores(settings: Settings, urls: Mapping[str, str]) -> Settings:
    """The same settings on these stores; what is configured stays."""
    wanted = {name: SecretStr(url) for name, url in urls.items() if name in URLS and settings.in_clear(name) is None}
    return settings.model_copy(update=wanted)


def running(data_dir: Path) -> dict[str, str] | None:
    """The stores of a fleet that runs on this folder; None without one. A file that others may write is not trusted."""
    path = data_dir / STATE
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            told = json.loads(file.read(65_536))
    except (OSError, ValueError):
        return None
    private = stat.S_IMODE(about.st_mode) & 0o077 == 0 and about.st_uid in (0, os.geteuid())
    if not private or not isinstance(told, dict) or not _alive(told.get("pid")):
        return None
    urls = {name: url for name in URLS if isinstance(url := told.get(name), str) and url}
    return urls if "database_url" in urls else None


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def embedded(data_dir: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL and Redis in the data folder, migrated, stopped when left; their data stays. Raises NotStarted."""
    from byteport.adapters.ledger import migrate
    from byteport.embedded import EmbeddedPostgres, EmbeddedRedis
    from byteport.embedded.fleet import alone_in

    data_dir = data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(alone_in(data_dir))
        postgres = EmbeddedPostgres(data_dir / KEPT).start()
        stack.callback(postgres.stop)
        redis = EmbeddedRedis(data_dir / "redis").start()
        stack.callback(redis.stop)
        migrate(postgres.url)
        yield {"database_url": postgres.url, "broker_url": redis.url}
