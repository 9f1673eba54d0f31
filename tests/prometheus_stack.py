"""The real Prometheus and Alertmanager of the system's packages, an exporter that a test turns, and their own words."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from byteport.embedded import free_port
from tests.http_server import Asked, Loopback, Reply, loopback
from tests.servers import eventually

PROMETHEUS, ALERTMANAGER = "/usr/bin/prometheus", "/usr/bin/prometheus-alertmanager"


@dataclass
class Exporter:
    """`used` of `shop` on db1, in percent, as a gauge with the labels of postgres_exporter, and whatever `more` says."""

    used: float = 10.0
    more: str = ""
    http: Loopback | None = None

    def answer(self, _asked: Asked) -> Reply:
        text = f'# TYPE pg_used_percent gauge\npg_used_percent{{server="db1:5432",datname="shop"}} {self.used}\n'
        return Reply(200, text + self.more.lstrip(), {"Content-Type": "text/plain; version=0.0.4"})


@dataclass
class Stack:
    prometheus: str
    alertmanager: str
    exporter: Exporter
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def stop(self, name: str) -> None:
        process = self.running[name]
        process.terminate()
        process.wait(20)

    def silence(self, **matchers: str) -> str:
        """As a person would in its console; the silence's id."""
        told = {
            "matchers": [{"name": n, "value": v, "isRegex": False, "isEqual": True} for n, v in matchers.items()],
            "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z", "createdBy": "bob", "comment": "rack move",
        }  # fmt: skip
        return str(httpx.post(f"{self.alertmanager}/api/v2/silences", json=told).raise_for_status().json()["silenceID"])

    def expire(self, silence: str) -> None:
        httpx.delete(f"{self.alertmanager}/api/v2/silence/{silence}").raise_for_status()


@contextmanager
def stack(folder: Path, webhook: str = "http://127.0.0.1:1/", secret: str = "none") -> Iterator[Stack]:
    """Both servers, ready; `webhook` is told what fires."""
    exporter = Exporter()
    with loopback(exporter.answer) as http:
        exporter.http = http
        ports = {"prometheus": free_port(), "alertmanager": free_port()}
        _write(folder, ports, http.port, webhook, secret)
        made = Stack(f"http://127.0.0.1:{ports['prometheus']}", f"http://127.0.0.1:{ports['alertmanager']}", exporter)
        try:
            for name, command in _commands(folder, ports).items():
                log = (folder / f"{name}.log").open("wb")
                made.running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
                log.close()
            for url in (made.alertmanager, made.prometheus):
                eventually(lambda url=url: _ready(url), within=30)
            yield made
        finally:
            for process in made.running.values():
                process.terminate()
            for process in made.running.values():
                process.wait(20)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _commands(folder: Path, ports: dict[str, int]) -> dict[str, list[str]]:
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    return {
        "alertmanager": [
            ALERTMANAGER, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={at['alertmanager']}", "--cluster.listen-address=",
            f"--web.external-url=http://{at['alertmanager']}",
        ],
        "prometheus": [
            PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={at['prometheus']}", f"--web.external-url=http://{at['prometheus']}",
        ],
    }  # fmt: skip


def _write(folder: Path, ports: dict[str, int], exporter: int, webhook: str, secret: str) -> None:
    rule = {
        "alert": "PostgreSQLHighConnections", "expr": "pg_used_percent > 90", "for": "1s",
        "labels": {"severity": "critical"},
        "annotations": {"summary": "{{ $value }} % of the connections of {{ $labels.datname }} are in use"},
    }  # fmt: skip
    told = {
        "prometheus.yml": {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports['alertmanager']}"]}]}]},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "postgres", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}],
        },
        "rules.yml": {"groups": [{"name": "postgres", "rules": [rule]}]},
        "alertmanager.yml": {
            "route": {
                "receiver": "byteport", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{
                "name": "byteport",
                "webhook_configs": [{
                    "url": webhook, "send_resolved": True, "http_config": {"authorization": {"credentials": secret}},
                }],
            }],
        },
    }  # fmt: skip
    for name, content in told.items():
        (folder / name).write_text(yaml.safe_dump(content))
