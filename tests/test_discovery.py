"""Google's description bites: what it does not publish, our server neither takes nor answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.discovery import held_to_google
from tests.http_server import Asked, Reply

DISK = "/compute/v1/projects/acme-example/zones/europe-west3-a/disks/data"
JSON = {"content-type": "application/json"}


def asked(method: str, path: str, body: Any = None, **query: str) -> Asked:
    return Asked(method, path, query, JSON, b"" if body is None else json.dumps(body).encode())


def test_what_is_published_passes():
    told = Reply(200, {"name": "operation-1", "status": "RUNNING"})
    assert held_to_google(asked("POST", f"{DISK}/resize", {"sizeGb": "125"}, requestId="x"), told) == "disks.resize"
    assert held_to_google(asked("GET", DISK), Reply(200, {"name": "data", "sizeGb": "100"})) == "disks.get"
    assert held_to_google(asked("GET", DISK), Reply(404, {"whatever": 1})) == "disks.get"


@pytest.mark.parametrize(
    ("request_", "reply", "why"),
    [
        (asked("POST", f"{DISK}/resize", {"sizeGb": 125}), Reply(200, {}), "125 is no string"),
        (asked("POST", f"{DISK}/resize", {"sizeGb": "much"}), Reply(200, {}), "sizeGb: 'much'"),
        (asked("POST", f"{DISK}/resize", {"size": "125"}), Reply(200, {}), "disks.resize has no size"),
        (asked("POST", f"{DISK}/resize", {"sizeGb": "125"}, request="x"), Reply(200, {}), "no parameter request"),
        (asked("PATCH", f"{DISK}/resize", {"sizeGb": "125"}), Reply(200, {}), "no method of ours is PATCH"),
        (asked("GET", DISK.replace("data", "Data")), Reply(200, {}), "no method of ours is GET"),
        (asked("GET", DISK), Reply(200, {"status": "HAPPY"}), "'HAPPY' is none of"),
        (asked("GET", DISK), Reply(200, {"sizeGb": 100}), "100 is no string"),
        (asked("GET", DISK), Reply(200, {"gigabytes": "100"}), "has no gigabytes"),
        (asked("GET", DISK), Reply(200, {"users": [1]}), "1 is no string"),
        (asked("GET", DISK, {}), Reply(200, {}), "takes no body"),
    ],
)
def test_what_is_not_published_is_told(request_, reply, why):
    with pytest.raises(AssertionError) as told:
        held_to_google(request_, reply)
    assert why in str(told.value)
