"""Where the signals come from: a sender that repeats a signal until it was answered with success, as monitors do."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import islice
from pathlib import Path

from byteport.sources.webhook import HEADER, sign
from tests.chaos.dice import Signals


@dataclass
class Source:
    """Sends while `room` says that there is room. `record` has a line for every signal that was answered."""

    url: str
    secret: str
    seed: int
    record: Path
    room: Callable[[], bool]
    relapse: Callable[[str], None]
    sent: int = 0
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """No new ones; the one under way is answered first."""
        self.stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)

    def _run(self) -> None:
        for event, page, valve in islice(Signals(self.seed), self.sent, None):
            while not self.room():
                if self.stop.wait(0.05):
                    return
            if self.stop.is_set():
                return
            if event.endswith("o") or page == "ward_limited":
                self.relapse(valve)
            if not self._sent(event, page, valve):
                return
            self.sent += 1

    def _sent(self, event: str, page: str, valve: str) -> bool:
        """Until it is answered with success; what may have been stored unanswered is sent again all the same."""
        target = {"kind": "service", "key": valve}
        body = json.dumps({"name": page, "target": target, "id": event, "fired_at": datetime.now(UTC).isoformat()})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if (told := self._post(body.encode())) is not None:
                line = {"event": event, "page": page, "valve": valve, **told}
                with self.record.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(line) + "\n")
                return True
            self.refused += 1
            if self.stop.wait(0.2):
                return False
        return False

    def _post(self, body: bytes) -> dict[str, object] | None:
        headers = {HEADER: sign(body, self.secret, int(time.time())), "Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, headers)  # noqa: S310 - our own loopback address
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
                told: dict[str, object] = json.loads(answer.read())
                return told if answer.status == 202 else None
        except (urllib.error.URLError, HTTPException, OSError, ValueError):
            return None


def answered(record: Path) -> list[dict[str, str]]:
    """Every signal that was answered with success, and the incident that it was told."""
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.exists() else []
