"""A Slack-shaped server that writes down what arrived, and may lose an answer after it has done the work."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.channels.slack_server import Answer, Asked, SlackServer, _handler

EVENT_PAYLOAD = "event_payload"


@dataclass
class CountingSlack(SlackServer):
    """`record` has a line for every message; one that is read at the start is known already."""

    record: Path = Path("messages.jsonl")
    losing: int = 0
    lost_answers: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.released.set()  # an answer that is lost is lost at once
        self.now = time.time()  # whoever looks for a message looks back from now
        if self.record.exists():
            self.messages = [json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines()]

    def answer(self, asked: Asked) -> Answer | None:
        with self.guard:
            before = len(self.messages)
            answer = self._real(asked)
            for message in self.messages[before:]:
                with self.record.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(message) + "\n")
            if len(self.messages) > before and self.losing > 0:
                self.losing -= 1
                self.lost_answers += 1
                return None
            return answer

    def arrived(self) -> Counter[str]:
        """How often each delivery arrived."""
        return Counter(str(payload_of(message).get("delivery", "")) for message in self.messages)


def payload_of(message: dict[str, Any]) -> dict[str, Any]:
    told = message.get("metadata") or {}
    told = json.loads(told) if isinstance(told, str) else told
    return dict(told.get(EVENT_PAYLOAD) or {})


@contextmanager
def listening(record: Path) -> Iterator[CountingSlack]:
    server = CountingSlack(record=record)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http:
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
