"""What BytePort is measured against: the same shape on Celery alone, a chord of 8 no-op probes and 4 no-op steps, that
journals nothing and checks nothing."""

from __future__ import annotations

import os
import sys
import time

from celery import Celery, chain, chord

URL = "BENCH_CHORD_URL"
PAUSE = "BENCH_PROBE_SECONDS"
PROBES = 8

app = Celery("chord", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get(URL, ""), result_backend=os.environ.get(URL, ""), task_acks_late=True,
    worker_prefetch_multiplier=1, task_serializer="json", accept_content=["json"], broker_connection_retry_on_startup=True,
)  # fmt: skip


@app.task(name="chord.probe")
def probe(_n: int) -> int:
    if pause := float(os.environ.get(PAUSE, "0")):
        time.sleep(pause)
    return 1


@app.task(name="chord.classify")
def classify(_found: list[int]) -> int:
    return 1


@app.task(name="chord.step")
def step(_last: int) -> float:
    return time.time()


def send() -> object:
    """One incident; its result is ready when the last of its steps has ended."""
    return chord([probe.s(n) for n in range(PROBES)])(chain(classify.s(), step.s(), step.s(), step.s()))


if __name__ == "__main__":
    app.worker_main(
        ["worker", "--hostname=chord@%h", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING",
         "--without-mingle", "--without-gossip", *sys.argv[1:]]
    )  # fmt: skip
