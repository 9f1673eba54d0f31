"""The console's token: the configured one, or one that was drawn once and is kept in the data folder."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from byteport.errors import BadConfiguration
from byteport.settings import Settings
from byteport.settings.section import secret_in

FILE = "console-token"


def token_of(settings: Settings) -> str:
    """The token in clear; raises BadConfiguration where its file is unreadable or open to others."""
    try:
        configured = settings.web.in_clear("token")
        return configured if configured is not None else _kept(settings.data_dir / FILE)
    except (ValueError, OSError) as wrong:
        raise BadConfiguration((("web.token", f"a token, or a data folder to keep one in: {wrong}"),)) from wrong


def _kept(path: Path) -> str:
    """Drawn at the first start; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        about = path.stat()
        if stat.S_IMODE(about.st_mode) & 0o077 or about.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"{path} must belong to this user and be closed to others") from None
        return secret_in(path)
    with os.fdopen(handle, "w") as file:
        token = secrets.token_urlsafe(24)
        file.write(token + "\n")
    return token
