"""A server that answers like Slack's documented API, on the loopback address, and records what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "xoxb-1-test-token"
CHANNEL = "C0123456789"
NAMES = {"#ops": CHANNEL, "ops": CHANNEL, CHANNEL: CHANNEL}

Answer = tuple[int, dict[str, str], Any]
ok = lambda **more: (200, {}, {"ok": True, **more})  # noqa: E731
no = lambda error, **more: (200, {}, {"ok": False, "error": error, **more})  # noqa: E731


@dataclass
class Asked:
    method: str
    params: dict[str, Any]
    headers: dict[str, str]


@dataclass
class SlackServer:
    """`next_answers` come instead of the real ones, oldest first; one that is None loses the answer after the work."""

    port: int = 0
    now: float = 1_780_000_000.0
    asked: list[Asked] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    next_answers: list[Answer | None] = field(default_factory=list)
    scopes: set[str] = field(default_factory=lambda: {"chat:write", "channels:history"})
    page: int = 200
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def hook(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T00/B00/secretpart"

    def answer(self, asked: Asked) -> Answer | None:
        self.asked.append(asked)
        instead = self.next_answers.pop(0) if self.next_answers else ()
        if instead:
            return instead
        answer = self._real(asked)
        return None if instead is None else answer

    def _real(self, asked: Asked) -> Answer:
        if asked.method.startswith("/services/"):
            self.messages.append({**asked.params, "channel": "hook", "ts": "1.1"})
            return 200, {"Content-Type": "text/html"}, "ok"
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return no("invalid_auth")
        words = {
            "/api/chat.postMessage": (self._post, "chat:write"),
            "/api/conversations.history": (self._history, "channels:history"),
            "/api/conversations.replies": (self._replies, "channels:history"),
        }
        if asked.method not in words:
            return no("unknown_method")
        word, scope = words[asked.method]
        return word(asked.params) if scope in self.scopes else no("missing_scope", needed=scope, provided="chat:write")

    def _post(self, said: dict[str, Any]) -> Answer:
        if said["channel"] not in NAMES:
            return no("channel_not_found")
        if len(said["blocks"]) > 50 or not said.get("text"):
            return no("invalid_blocks")
        if said.get("thread_ts") and not any(m["ts"] == said["thread_ts"] for m in self.messages):
            return no("thread_not_found")
        self.now += 1
        message = {**said, "channel": NAMES[said["channel"]], "ts": f"{self.now:.6f}"}
        self.messages.append(message)
        return ok(channel=message["channel"], ts=message["ts"], message=message)

    def _history(self, said: dict[str, Any]) -> Answer:
        if said["channel"] != CHANNEL:
            return no("channel_not_found")
        oldest = float(said.get("oldest", 0))
        found = [m for m in self.messages if not m.get("thread_ts") and float(m["ts"]) > oldest]
        return self._paged(found[::-1], said)

    def _replies(self, said: dict[str, Any]) -> Answer:
        found = [m for m in self.messages if said["ts"] in (m["ts"], m.get("thread_ts"))]
        return self._paged(found, said) if found else no("thread_not_found")

    def _paged(self, found: list[dict[str, Any]], said: dict[str, Any]) -> Answer:
        start = int(said.get("cursor", 0))
        size = min(self.page, int(said["limit"]))
        shown = found[start : start + size]
        if said.get("include_all_metadata") not in ("true", "1"):
            shown = [{name: value for name, value in m.items() if name != "metadata"} for m in shown]
        following = str(start + size) if start + size < len(found) else ""
        return ok(messages=shown, has_more=bool(following), response_metadata={"next_cursor": following})


def _handler(server: SlackServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            is_json = "json" in self.headers.get("Content-Type", "")
            self.reply(json.loads(body) if is_json else dict(parse_qsl(body)))

        def do_GET(self) -> None:
            self.reply(dict(parse_qsl(urlsplit(self.path).query)))

        def reply(self, params: dict[str, Any]) -> None:
            answer = server.answer(Asked(urlsplit(self.path).path, params, dict(self.headers)))
            if answer is None:
                server.released.wait(20)
                self.close_connection = True
                return
            status, headers, said = answer
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_told: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def running() -> Iterator[SlackServer]:
    server = SlackServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http:
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()
