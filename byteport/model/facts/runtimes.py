"""What is known of the runtime that a service's largest process runs in, and of how large its heap may grow."""

from __future__ import annotations

from typing import Literal

from byteport.model.base import Value


class RuntimeHints(Value):
    """`heap` is what the runtime was told that its heap may grow to, and `source` where that stands; None: it was told
    nothing. `snapshots`: Node.js was started to write one at SIGUSR2, and really catches that signal. `dump_free` is
    what is free where dumps are kept, None where there is no such place."""

    kind: Literal["jvm", "node", "other"]
    pid: int
    heap: int | None = None
    source: str = ""
    snapshots: bool = False
    dump_free: int | None = None
    lacks: tuple[str, ...] = ()


class HeapInfo(Value):
    """A JVM's own word on its heap."""

    used: int
    committed: int = 0
