"""The demo's patient: a small PostgreSQL that runs out of connections, because its application forgets transactions."""

from __future__ import annotations

import math
import os
import secrets
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from time import monotonic
from urllib.parse import quote

from byteport.adapters import demo_patient
from byteport.adapters.demo_patient import ACTOR, CLIENT, DATABASE, GRANTS, PROBER, Reading
from byteport.embedded.children import PLAIN_ENVIRONMENT, Child, Command, start_child, wait_until_ready
from byteport.embedded.loopback import LOOPBACK
from byteport.embedded.postgres import EmbeddedPostgres, RunningPostgres

MAX_CONNECTIONS, RESERVED = 54, 3
USABLE = MAX_CONNECTIONS - RESERVED
FULL = 0.94
KEPT_BY_BYTEPORT = 3  # one in the probe worker, one in each of the two acting children
PACKAGES = Path(__file__).parents[2]


@dataclass(frozen=True)
class Patient:
    """A running patient with its clients. `filled_at` is monotonic: the youngest session has been idle since then."""

    server: RunningPostgres
    clients: Child
    passwords: dict[str, str] = field(repr=False)
    filled_at: float

    @property
    def key(self) -> str:
        """Its name everywhere: host and database."""
        return f"{LOOPBACK}:{self.server.port}/{DATABASE}"

    @property
    def probe_url(self) -> str:
        return self._url(PROBER)

    @property
    def act_url(self) -> str:
        return self._url(ACTOR)

    def reading(self) -> Reading:
        """Its own figures, now."""
        return demo_patient.read_gauge(self.server.url_of(DATABASE, user="postgres"))

    def _url(self, role: str) -> str:
        return f"postgresql://{role}:{quote(self.passwords[role])}@{LOOPBACK}:{self.server.port}/{DATABASE}"


def wanted_clients() -> int:
    """As many forgetful clients as fill 94 % of what is usable; with BytePort's own, every slot is taken."""
    return min(math.ceil(FULL * USABLE), USABLE - KEPT_BY_BYTEPORT)


def start_patient(folder: Path, undo: ExitStack) -> Patient:
    """Start the server and its clients; `undo` ends both. Raises NotStarted."""
    settings = {"max_connections": MAX_CONNECTIONS, "superuser_reserved_connections": RESERVED}
    spec = EmbeddedPostgres(folder / "patient", settings=settings, durable=False)
    undo.callback(spec.remove)
    server = spec.start()
    undo.callback(server.stop)
    passwords = {role: secrets.token_urlsafe(16) for role in GRANTS}
    demo_patient.prepare(server.superuser_url, passwords)
    url = f"postgresql://{CLIENT}:{quote(passwords[CLIENT])}@{LOOPBACK}:{server.port}/{DATABASE}"
    clients = _start_clients(folder / "clients.log", url)
    undo.callback(clients.stop, ((SIGTERM, 5.0),))
    return Patient(server, clients, passwords, monotonic())


def _start_clients(log: Path, url: str) -> Child:
    environment = {
        **PLAIN_ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH", "")))),
        demo_patient.URL: url,
        demo_patient.COUNT: str(wanted_clients()),
    }
    argv = (sys.executable, "-P", "-m", "byteport.adapters.demo_patient")
    child = start_child(Command(argv, log.parent, log, dies_with_us=SIGTERM, environment=environment))
    wait_until_ready(child, lambda: demo_patient.READY in _said(log), "the patient's clients", log, monotonic() + 60)
    return child


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
