"""BytePort as a stranger would install it: a copy of the repository, `compose/prepare`, build, up."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from byteport.sources import webhook
from tests.real import images
from tests.real.dockerd import Docker, told
from tests.servers import eventually

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TAKEN = ("byteport", "workers", "beat_schedules", "compose", "pyproject.toml", "README.md", "requirements.lock")
FLEET = ("redis", "postgres", "probe", "act", "decide", "beat", "web", "flower")
WEB, FLOWER = "http://127.0.0.1:8321", "http://127.0.0.1:5555"
TARGET = "shop/shop"
# Three sessions must have been forgotten for this long; the page's own five minutes would be waited for here.
THRESHOLD = 2

ASK = """
import json, sys, urllib.error, urllib.request
asked = json.load(sys.stdin)
body = asked["body"].encode() if asked["body"] is not None else None
request = urllib.request.Request(asked["url"], data=body, headers=asked["headers"])
try:
    with urllib.request.urlopen(request, timeout=15) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as refused:
    print(json.dumps([refused.code, refused.read().decode()]))
"""

COUNT = """
import psycopg, yaml
url = yaml.safe_load(open("/etc/byteport/byteport.yaml"))["databases"]["shop"]["url"]
forgotten = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop_app' AND state = 'idle in transaction'"
print(psycopg.connect(url).execute(forgotten).fetchone()[0])
"""


@dataclass(frozen=True)
class Site:
    """One installation on a daemon."""

    docker: Docker
    folder: Path

    # -- before ------------------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """The repository as git would clone it, its secrets, and a configuration that names the patient."""
        nothing_local = shutil.ignore_patterns("__pycache__", "local", "wheelhouse")
        for name in TAKEN:
            source, copy = REPOSITORY / name, self.folder / name
            shutil.copytree(source, copy, ignore=nothing_local) if source.is_dir() else shutil.copy(source, copy)
        shutil.copy(REPOSITORY / ".dockerignore", self.folder)
        for name in ("patient.yaml", "forgetful_application.py"):
            shutil.copy(HERE / name, self.folder / "compose")
        told([str(self.folder / "compose" / "prepare")], self.environment, 20)
        configuration = self.folder / "compose/local/config/byteport.yaml"
        configuration.write_text(configuration.read_text(encoding="utf-8") + self._patient(), encoding="utf-8")

    def _patient(self) -> str:
        password = self.secret("postgres_password")
        urls = {name: f"postgresql://byteport_{who}:{password}@shop:5432/shop"
                for name, who in (("url", "probe"), ("act_url", "act"))}  # fmt: skip
        options = {"idle_in_tx_threshold_sec": THRESHOLD}
        return yaml.safe_dump({
            "databases": {"shop": urls}, "runbooks": {"db_connection_pool_exhaustion": {"options": options}}
        })  # fmt: skip

    def fetch_wheels(self) -> None:
        """The daemon's namespace has no way out, so that the image is built from a wheelhouse."""
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--disable-pip-version-check"]
        target = [
            "--requirement",
            str(REPOSITORY / "requirements.lock"),
            "--dest",
            str(self.folder / "compose/wheelhouse"),
        ]
        done = subprocess.run([*argv, *target], capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr

    # -- compose -----------------------------------------------------------------------------------------------------
    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.docker.environment, "COMPOSE_DOCKER_CLI_BUILD": "0", "COMPOSE_HTTP_TIMEOUT": "180",
            "BASE_IMAGE": images.PYTHON, "REDIS_IMAGE": images.REDIS, "POSTGRES_IMAGE": images.POSTGRES,
            "BUILD_PIP_NO_INDEX": "1", "BUILD_PIP_FIND_LINKS": "/wheels", "HEALTH_INTERVAL": "8s",
        }  # fmt: skip

    def compose(self, *arguments: str, within: float = 120) -> str:
        files = [f"--file={self.folder}/compose/{name}" for name in ("compose.yaml", "patient.yaml")]
        return told(["/usr/bin/docker-compose", *files, *arguments], self.environment, within)

    def start(self) -> None:
        """Up and healthy; an AssertionError with the end of every log when it does not become so."""
        try:
            self.compose("up", "--detach", "--no-build", within=180)
            self.until_healthy()
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.compose('logs', '--no-color', '--tail=25')}") from problem

    def states(self) -> dict[str, dict[str, Any]]:
        """What Docker says of each service's container."""
        ids = self.compose("ps", "--all", "--quiet").split()
        inspected = json.loads(self.docker.run("inspect", *ids)) if ids else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}

    def health(self) -> dict[str, str]:
        """Every service of the fleet that is not healthy, and what it is instead."""
        states = {name: one["State"] for name, one in self.states().items()}
        words = {name: states.get(name, {}).get("Health", {}).get("Status", "missing") for name in FLEET}
        return {name: word for name, word in words.items() if word != "healthy"}

    def until_healthy(self, within: float = 120) -> None:
        def all_well() -> bool:
            sick = self.health()
            assert not sick, sick
            return True

        eventually(all_well, within=within, every=1.0)

    def secret(self, name: str) -> str:
        return (self.folder / "compose/local/secrets" / name).read_text(encoding="ascii").strip()

    # -- as people and programs see it --------------------------------------------------------------------------------
    def ask(self, url: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
        asked = json.dumps({"url": url, "body": body, "headers": headers})
        status, text = json.loads(self.docker.inside(sys.executable, "-I", "-c", ASK, stdin=asked.encode()))
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def signal(self) -> str:
        """Send a signed message about the patient; the incident's id."""
        body = json.dumps({
            "name": "db_pool_exhausted", "target": {"kind": "database", "key": TARGET, "within": ["shop"]},
            "fired_at": datetime.now(UTC).isoformat(), "severity": "critical", "summary": "connections are used up",
        })  # fmt: skip
        signature = webhook.sign(body.encode(), self.secret("webhook_secret"), int(time.time()))
        headers = {webhook.HEADER: signature, "Content-Type": "application/json"}
        status, answer = self.ask(f"{WEB}/webhooks/generic", body, **headers)
        assert status == 202, answer
        return str(answer["incident"])

    def incident(self, incident: str) -> dict[str, Any]:
        token = {"Authorization": f"Bearer {self.secret('console_token')}"}
        status, answer = self.ask(f"{WEB}/api/v1/incidents/{incident}", None, **token)
        assert status == 200, answer
        return dict(answer)

    def forgotten(self) -> int:
        """How many transactions the application holds, asked from where the probes ask."""
        return int(self.compose("exec", "-T", "probe", "python", "-c", COUNT))

    def tasks(self) -> list[tuple[str, str, str]]:
        """What Flower has seen: (task, state, worker's role)."""
        login = base64.b64encode(f"byteport:{self.secret('flower_password')}".encode()).decode()
        status, answer = self.ask(f"{FLOWER}/api/tasks?limit=5000", None, Authorization=f"Basic {login}")
        assert status == 200, answer
        return [(t["name"], t["state"], str(t["worker"]).partition("@")[0]) for t in answer.values()]
