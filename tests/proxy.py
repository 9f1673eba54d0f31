"""A door in front of a server, to make the server hang or vanish."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

LOOPBACK = "127.0.0.1"


class TcpProxy:
    """A door in front of a server that can be cut (refuse, and drop what is open), stalled (accept, pass nothing on)
    and restored."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._flow = threading.Event()
        self._flow.set()
        self._cut = False
        self._over = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.trips = 0  # how often somebody asked after having been answered: whole round trips, however much was asked
        self._door = socket.create_server((LOOPBACK, 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name=f"proxy {self.port}").start()

    def cut(self) -> None:
        """From now on every connection is dropped, the open ones at once."""
        self._cut = True
        self._drop_all()

    def stall(self) -> None:
        """From now on nothing passes, in either direction; connections stay open and new ones are accepted."""
        self._flow.clear()

    def restore(self) -> None:
        """Let everything pass again."""
        self._cut = False
        self._flow.set()

    def through(self, url: str) -> str:
        """The same URL, by way of this door."""
        head, _, tail = url.rpartition(f":{self.target_port}")
        return f"{head}:{self.port}{tail}"

    def close(self) -> None:
        """Shut the door and drop everybody."""
        self._over = True
        self._flow.set()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._drop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            if self._cut:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((LOOPBACK, self.target_port), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        answered = threading.Event()
        answered.set()
        back = threading.Thread(target=self._pump, args=(server, client, answered), daemon=True)
        back.start()
        self._pump(client, server, answered, asks=True)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(
        self, source: socket.socket, sink: socket.socket, answered: threading.Event, *, asks: bool = False
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._count(answered, asks=asks)
                self._flow.wait()
                if self._cut:
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, answered: threading.Event, *, asks: bool) -> None:
        if not asks:
            answered.set()
        elif answered.is_set():
            answered.clear()
            with self._lock:
                self.trips += 1

    def _drop_all(self) -> None:
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
