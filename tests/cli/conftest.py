"""The command as people run it: a process of its own, on a real ledger and a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from byteport.adapters.ledger import migrate
from tests.patients import Patient

Byteport = Callable[..., "Ended"]
SLUG = "db_connection_pool_exhaustion"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """A folder with a byteport.yaml, and the environment that the command is given."""

    folder: Path
    environ: dict[str, str]

    def configure(self, **settings: Any) -> None:
        (self.folder / "byteport.yaml").write_text(yaml.safe_dump(settings))

    def run(self, *args: str, stdin: str = "", within: float = 90, **environ: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "byteport", *args],
            cwd=self.folder,
            env={**self.environ, **environ},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def bare(tmp_path: Path) -> Home:
    """Nothing is configured."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    return Home(tmp_path, {**environ, "PYTHONPATH": str(ROOT), "BYTEPORT_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def home(bare: Home, ledger_url: str, redis_url: str) -> Home:
    """Stores are configured and migrated."""
    migrate(ledger_url)
    return Home(bare.folder, {**bare.environ, "BYTEPORT_DATABASE_URL": ledger_url, "BYTEPORT_BROKER_URL": redis_url})


@pytest.fixture
def calm(patient: Callable[..., Patient]) -> Patient:
    """A database that nothing is wrong with."""
    return patient()
