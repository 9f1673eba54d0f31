"""Become the wanted user, ask to die with the parent, then turn into the server.

Run by path in a fresh interpreter, so that nothing of ours runs between fork and exec of a threaded
process. Arguments: parent's pid, signal at its death (0: none), uid, gid (-1: stay), program, its arguments.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def launch(parent: int, death_signal: int, uid: int, gid: int, argv: list[str]) -> None:
    """Replace this process; returns never. The death signal is set last, for a change of user clears it."""
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if death_signal:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit(f"cannot ask to die with the parent: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != parent:
            sys.exit("the parent was gone before the server began")
    os.execv(argv[0], argv)  # noqa: S606  (an argument vector; no shell is wanted)


if __name__ == "__main__":
    first, second, third, fourth = (int(number) for number in sys.argv[1:5])
    launch(first, second, third, fourth, sys.argv[5:])
