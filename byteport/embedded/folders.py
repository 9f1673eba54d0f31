"""The folder of one server: who may use it, where its files really are, and its secret."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from byteport.embedded.accounts import Account
from byteport.embedded.errors import NotStarted

AWAY = Path("/var/lib/byteport/embedded")  # for root whose folder the lent account cannot enter
LOG_LIMIT = 10 * 1024 * 1024


@contextmanager
def held(folder: Path, deadline: float) -> Iterator[int]:
    """Hold the folder alone and yield the lock's descriptor, which a server inherits and so holds while it lives.

    A former server that is still on its way down is waited for until the deadline (monotonic seconds).
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _taken(handle):
            if time.monotonic() > deadline:
                raise NotStarted(f"another server is running on {folder}; stop it, or choose another folder")
            time.sleep(0.05)
        yield handle
    finally:
        os.close(handle)  # not unlocked: the server shares the lock, and keeps it


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def place_for(folder: Path, account: Account | None) -> Path:
    """Where the server's files are: the folder itself, or (for root) a place that the lent account can enter.

    The second kind is noted in the folder's file `location`, so that the next start finds the same data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if account is None or _away_is_needless(folder, account):
        return folder
    note = folder / "location"
    if note.exists():
        return _known_place(folder, Path(note.read_text(encoding="utf-8").strip()))
    if (folder / "data").exists():
        raise NotStarted(f"{account.name!r}, whom PostgreSQL runs as here, cannot enter {folder} any more")
    place = AWAY / secrets.token_hex(8)
    try:
        place.mkdir(parents=True, mode=0o711)
    except OSError as refusal:
        raise NotStarted(
            f"{account.name!r}, whom PostgreSQL runs as here, cannot enter {folder}, and {place} cannot be made "
            f"({refusal}); choose a folder whose parents everybody may enter, or start as an ordinary user"
        ) from refusal
    note.write_text(f"{place}\n", encoding="utf-8")
    return _known_place(folder, place)


def _away_is_needless(folder: Path, account: Account) -> bool:
    return not (folder / "location").exists() and account.can_enter(folder)


def _known_place(folder: Path, place: Path) -> Path:
    if not place.is_dir():
        raise NotStarted(f"the data of {folder} was kept in {place}, which is gone; remove {folder} to begin anew")
    return place


def remove(folder: Path) -> None:
    """Delete a stopped server's folder, and the place away from it that holds its files."""
    note = folder / "location"
    if note.exists():
        place = Path(note.read_text(encoding="utf-8").strip())
        if place.parent == AWAY:
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def secret(path: Path) -> str:
    """The password kept in the file (readable by its owner alone), made at the first call."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(24))
    password = path.read_text(encoding="ascii").strip()
    if not password:
        raise NotStarted(f"{path} is empty; remove its folder to begin anew")
    return password


def fresh_log(log: Path) -> Path:
    """Put a log that has grown large aside (one generation), so that it never fills the disk start after start."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".1"))
    return log
