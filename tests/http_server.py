"""A loopback HTTP server that a test makes behave like somebody's API, and that can misbehave on purpose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; header names in small letters."""

    method: str
    raw_path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Reply:
    """`body` as bytes, a text, or what becomes JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return b"" if self.body is None else json.dumps(self.body).encode()


LOST = "the work is done and its answer lost"
HANGS = "nothing is ever answered"
Instead = Reply | str | None


@dataclass
class Loopback:
    """`answer` is what the API does; each of `instead` replaces one answer, oldest first (None: as usual)."""

    answer: Callable[[Asked], Reply]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    instead: list[Instead] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    problems: list[Exception] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, asked: Asked) -> Reply | None:
        """None: the connection is closed without an answer."""
        with self.turn:
            self.asked.append(asked)
            instead = self.instead.pop(0) if self.instead else None
            if isinstance(instead, Reply):
                return instead
            if instead != HANGS:
                told = self._as_usual(asked)
                return None if instead == LOST else told
        self.over.wait(30)
        return None

    def _as_usual(self, asked: Asked) -> Reply:
        try:
            return self.answer(asked)
        except Exception as problem:  # noqa: BLE001 - raised at the end, where the test sees it
            self.problems.append(problem)
            return Reply(599, f"the test's server: {problem!r}: {problem.__cause__!r}"[:2000])


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = server.reply(Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            if told is None:
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.content)))
            self.end_headers()
            self.wfile.write(told.content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - the standard library's names

        def log_message(self, *_told: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def loopback(answer: Callable[[Asked], Reply]) -> Iterator[Loopback]:
    server = Loopback(answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http:
        http.daemon_threads = True
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            http.shutdown()
            thread.join()
        for problem in server.problems:
            raise problem
