"""The databases under care and how this process reaches them: which login, over how many connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from byteport.adapters.database_pool import KeptConnection
from byteport.adapters.pgbouncer import PgbouncerConsole, Pgbouncers, PgbouncerSettings, console_login
from byteport.adapters.pgbouncer_file import PoolerFile
from byteport.adapters.postgres import PostgresDatabases, acting_login, kept, reading_login
from byteport.adapters.postgres_sessions import PostgresSessions
from byteport.errors import BytePortError


@dataclass(frozen=True)
class Patient:
    """One database: its key (`host/dbname`), its name on the server, and the URLs that this process may use."""

    key: str
    dbname: str
    url: str = field(repr=False)
    pooler_url: str | None = field(default=None, repr=False)
    pooler_ini: Path | None = None


@dataclass(frozen=True)
class Patients:
    """One kept connection for each database, whether this process looks or acts (`acting`); never both logins."""

    patients: Sequence[Patient]
    acting: bool = False

    @cached_property
    def _connections(self) -> Mapping[str, KeptConnection]:
        login = acting_login if self.acting else reading_login
        return {patient.key: kept(login(patient.key, patient.url)) for patient in self.patients}

    @cached_property
    def _consoles(self) -> Mapping[str, PgbouncerConsole]:
        application = "byteport-act" if self.acting else "byteport-probe"
        return {
            patient.key: PgbouncerConsole(
                KeptConnection(console_login(patient.key, patient.pooler_url, application)),
                patient.dbname,
                PoolerFile(patient.pooler_ini) if patient.pooler_ini is not None else None,
            )
            for patient in self.patients
            if patient.pooler_url is not None
        }

    @property
    def database(self) -> PostgresDatabases:
        return PostgresDatabases(self._connections)

    @property
    def sessions(self) -> PostgresSessions:
        return PostgresSessions(self._connections)

    @property
    def pooler(self) -> Pgbouncers:
        return Pgbouncers(self._consoles)

    @property
    def pooler_settings(self) -> PgbouncerSettings:
        return PgbouncerSettings(self._consoles)

    def open(self) -> dict[str, BytePortError]:
        """Take every kept connection now; the databases that could not be reached, and why."""
        return self.pooler.open() | self.database.open()

    def close(self) -> None:
        """Give every slot back."""
        self.database.close()
        self.pooler.close()
