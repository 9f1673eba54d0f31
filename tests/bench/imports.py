"""What it costs to start a member, before it has done anything: CPU and libraries of what it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.bench.stage import ROOT

# What a bare Celery with a Redis broker has in memory when its clock begins to tick, without the plugins that its whole
# command line would load.
CELERY_AND_REDIS = """
from celery import Celery
import celery.apps.beat, celery.bin.beat, kombu.transport.redis, redis
Celery("bare", broker="redis://127.0.0.1").finalize()
"""
MEMBERS = {
    "beat": """
from workers.__main__ import app
import celery.apps.beat, celery.bin.beat, kombu.transport.redis
app.conf.include = ()
app.loader.import_default_modules()
app.finalize()
assert app.conf.beat_schedule
""",
    "web": """
from byteport import plugins, wiring
from byteport.web import serve
import workers.wakeups
wiring.pages_of(wiring.Settings(), plugins.find())
""",
    "byteport --help": """
from byteport.cli import app
app.main(["--help"], standalone_mode=False)
""",
}
HEAVY = (
    "kubernetes", "paramiko", "boto3", "botocore", "httpx", "httpx2", "docker", "google.cloud", "slack_sdk", "flower",
)  # fmt: skip
NEEDED = {"web": ("psycopg", "uvicorn", "starlette", "celery")}
MORE = ("psycopg", "uvicorn", "starlette")
TELL = f"""
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = [name for name in {(*HEAVY, *MORE)!r} if name in sys.modules]
print(json.dumps([used.ru_utime + used.ru_stime, heavy]), file=sys.stderr)
"""


def cost(program: str) -> tuple[float, list[str]]:
    """CPU seconds of a process that runs this, and the heavy libraries that it has loaded at its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BYTEPORT_")}
    told = {**environment, "PYTHONPATH": str(ROOT), "BYTEPORT_BROKER_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program + TELL], env=told, capture_output=True, text=True, check=True, cwd=ROOT
    )
    seconds, heavy = json.loads(done.stderr.splitlines()[-1])
    return seconds, heavy


def unneeded(member: str, heavy: list[str]) -> list[str]:
    return [name for name in heavy if name not in NEEDED.get(member, ())]
