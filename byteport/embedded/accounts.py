"""Whom a server runs as. PostgreSQL refuses root, so root lends it an account that may do nothing else."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from byteport.embedded.errors import NotStarted

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """A user of this machine without privileges."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Whether this account gets into the folder; asked of the kernel, since mode bits do not tell all."""
        return self._test("-x", folder)

    def can_run(self, program: Path) -> bool:
        """Whether this account may read and run the program."""
        return self._test("-x", program) and self._test("-r", program)

    def owns(self, path: Path) -> bool:
        """Whether the path belongs to this account."""
        return path.stat().st_uid == self.uid

    def take(self, path: Path) -> None:
        """Make the path this account's own."""
        os.chown(path, self.uid, self.gid)

    def _test(self, flag: str, path: Path) -> bool:
        try:
            asked = subprocess.run(
                ["/usr/bin/test", flag, str(path)],
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                cwd="/",
                check=False,
                timeout=10,
            )
        except (OSError, subprocess.SubprocessError) as refusal:
            raise NotStarted(f"cannot run a program as {self.name!r}, which PostgreSQL needs: {refusal}") from refusal
        return asked.returncode == 0


def lent_account() -> Account | None:
    """The account to run PostgreSQL as: none (ourselves) for an ordinary user, an unprivileged one for root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as missing:
        raise NotStarted(f"PostgreSQL refuses root, and this machine has no user {UNPRIVILEGED!r} to lend") from missing
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
