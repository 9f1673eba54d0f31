"""Fixtures of the worker tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.crowd import Crowd
from tests.patients import Patient
from tests.workers.workshop import Workshop, workshop


@pytest.fixture
def sick(patient: Callable[..., Patient]) -> Iterator[tuple[Patient, Crowd]]:
    """A patient with twelve sessions idle in transaction, of 17 slots."""
    one = patient(max_connections=20)
    with Crowd(one.url) as crowd:
        crowd.idle_in_transaction(12, application="shop-web")
        yield one, crowd


@pytest.fixture
def fleet(
    tmp_path: Path, ledger_url: str, redis_url: str, sick: tuple[Patient, Crowd]
) -> Iterator[Callable[..., Workshop]]:
    """fleet("probe", "act", "decide", broker_url=…, via=…) starts workers for the sick patient."""
    with ExitStack() as running:

        def start(*roles: str, broker_url: str = redis_url, via: str = "", **more: Any) -> Workshop:
            shop = running.enter_context(workshop(tmp_path, ledger_url, broker_url, sick[0], via, **more))
            shop.start(*roles)
            return shop

        yield start
