"""`make bench`: what BytePort costs and how fast it is, beside what it is measured against, in one run.

ARGS: --quick (a short form, under five minutes), --json (one object as the last line), --rows 1,2,7 (only these).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.row import Row, table

# Which module measures which rows; each has `rows(quick, say)`.
MODULES = {
    "incidents": (1, 2, 3), "intake": (4,), "storm": (5,), "budgets": (6,), "waits": (7,), "memory": (8,),
    "hosts": (9,), "listings": (10,), "growth": (11,),
}  # fmt: skip
VERSIONS = ("celery", "kombu", "redis", "psycopg", "pydantic", "starlette", "uvicorn", "paramiko", "dramatiq")


def main(arguments: list[str]) -> int:
    """0 where every row meets its goal, 1 where one does not, 2 for wrong words."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short form, under five minutes")
    parser.add_argument("--json", action="store_true", help="one object as the last line")
    parser.add_argument("--rows", default="", help="only these, by number: 1,2,7")
    asked = parser.parse_args(arguments)
    wanted = {int(one) for one in asked.rows.split(",") if one.strip().isdigit()} or set(range(1, 12))
    began = time.monotonic()
    rows = [row for row in _measured(wanted, asked.quick) if row.number in wanted]
    facts = {"machine": machine(), "versions": versions(), "seconds": round(time.monotonic() - began)}
    print(table(rows))
    print(f"\n{facts['machine']}; {len(rows)} rows, {sum(not row.ok for row in rows)} missed, {facts['seconds']} s")
    if asked.json:
        print(json.dumps({"rows": [row.as_json() for row in rows], **facts}), flush=True)
    return 0 if all(row.ok for row in rows) else 1


def _measured(wanted: set[int], quick: bool) -> Iterable[Row]:
    for name, numbers in MODULES.items():
        if wanted & set(numbers):
            measure: Callable[[bool, Callable[[str], None]], Iterable[Row]]
            measure = importlib.import_module(f"tests.bench.{name}").rows
            for row in measure(quick, say):
                say(table([row]).splitlines()[-1])
                yield row


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """What it ran on, in a line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs ({model or platform.machine()}), {memory / 2**20:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}, load {load:.1f} at the end"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def versions() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
