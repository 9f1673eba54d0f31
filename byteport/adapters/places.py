"""So many at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from byteport.errors import OutOfTime


@dataclass
class Places:
    """Threads share it. Nobody is overtaken: who has just let go of a place would else take it again before those who
    wait have woken up."""

    many: int
    taken: int = 0
    _line: deque[object] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def one(self, within: float) -> Iterator[None]:
        """Raises OutOfTime where none has become free."""
        self._take(within)
        try:
            yield
        finally:
            with self._changed:
                self.taken -= 1
                self._changed.notify_all()

    def _take(self, within: float) -> None:
        mine = object()
        with self._changed:
            self._line.append(mine)
            try:
                if not self._changed.wait_for(lambda: self.taken < self.many and self._line[0] is mine, within):
                    raise OutOfTime(f"{self.many} are at it, and none has ended in {within:.0f} s")
                self.taken += 1
            finally:
                self._line.remove(mine)
                self._changed.notify_all()
