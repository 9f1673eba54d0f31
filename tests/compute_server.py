"""A Compute Engine on loopback that keeps instances, disks and operations, and does what is asked; and the servers that
give tokens: for a service account's signed word, and to an instance for its own account.

Every request, and every answer that succeeds, is held to Google's published description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import jwt

from tests.discovery import held_to_google
from tests.http_server import Asked, Loopback, Reply, loopback

TOKEN = "ya29." + "t" * 40
PROJECT, ZONE, REGION = "acme-example", "europe-west3-a", "europe-west3"
ACCOUNT = "byteport@acme-example.example"
ROOT = "https://www.googleapis.com/compute/v1"
SCOPE = "https://www.googleapis.com/auth/compute"


def error(status: int, message: str, reason: str, domain: str = "global") -> Reply:
    """In the form that Google's APIs answer in."""
    errors = [{"message": message, "domain": domain, "reason": reason}]
    return Reply(status, {"error": {"code": status, "message": message, "errors": errors}})


@dataclass
class Compute:
    """`finish` ends what is under way; until then a disk has the size that it had."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    disks: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    wanted: dict[str, tuple[str, str]] = field(default_factory=dict)
    methods: list[str] = field(default_factory=list)
    tokens: int = 0
    http: Any = None

    # -- what a test puts in ---------------------------------------------------------------------------------------------
    def add_disk(self, name: str, gigabytes: int, place: str = f"zones/{ZONE}", **more: Any) -> str:
        path = f"projects/{PROJECT}/{place}/disks/{name}"
        self.disks[path] = {
            "kind": "compute#disk", "id": str(7_000_000_000 + len(self.disks)), "name": name, "status": "READY",
            "sizeGb": str(gigabytes), "selfLink": f"{ROOT}/{path}",
        } | more  # fmt: skip
        return path

    def attach(self, instance: str, device: str, path: str, **more: Any) -> None:
        at = f"projects/{PROJECT}/zones/{ZONE}/instances/{instance}"
        told = self.instances.setdefault(at, {"kind": "compute#instance", "name": instance, "disks": []})
        told["disks"].append({
            "kind": "compute#attachedDisk", "type": "PERSISTENT", "mode": "READ_WRITE", "interface": "NVME",
            "index": len(told["disks"]), "deviceName": device, "source": f"{ROOT}/{path}",
        } | more)  # fmt: skip
        if path in self.disks:
            self.disks[path].setdefault("users", []).append(f"{ROOT}/{at}")

    def finish(self, *, code: str = "", message: str = "") -> None:
        """All that is under way comes to its end, badly where a code is given."""
        for at, operation in self.operations.items():
            if operation["status"] == "DONE":
                continue
            operation.update(status="DONE", progress=100)
            path, size = self.wanted[at]
            if code:
                operation["error"] = {"errors": [{"code": code, "message": message}]}
                operation |= {"httpErrorStatusCode": 403, "httpErrorMessage": "FORBIDDEN"}
            else:
                self.disks[path]["sizeGb"] = size

    def file(self, folder: Path) -> Path:
        """A service account's file, whose tokens this server gives."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        path = folder / "account.json"
        path.write_text(json.dumps({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "k1", "private_key": pem,
            "client_email": ACCOUNT, "client_id": "1", "token_uri": f"{self.http.url}/token",
        }))  # fmt: skip
        return path

    # -- what it does ------------------------------------------------------------------------------------------------------
    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/token":
            return self._token(asked)
        if asked.path == "/" or asked.path.startswith("/computeMetadata/"):
            return self._metadata(asked)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return error(401, "Request had invalid authentication credentials.", "authError")
        reply = self._answer(asked, asked.path.removeprefix("/compute/v1/"))
        self.methods.append(held_to_google(asked, reply))
        return reply

    def _token(self, asked: Asked) -> Reply:
        """RFC 7523: only for a word that our key has signed, and for no more than the scope that is needed."""
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (word,) = parse_qs(asked.body.decode())["assertion"]
        told = jwt.decode(word, certs=pem, audience="https://oauth2.googleapis.com/token")
        assert (told["iss"], told["scope"]) == (ACCOUNT, SCOPE)
        self.tokens += 1
        return Reply(200, {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    def _metadata(self, asked: Asked) -> Reply:
        """The metadata server of an instance, whose own service account is the login ("About VM metadata")."""
        assert asked.headers.get("metadata-flavor") == "Google"
        flavor = {"Metadata-Flavor": "Google"}
        account = {"aliases": ["default"], "email": ACCOUNT, "scopes": [SCOPE]}
        token = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        for end, told in (
            (f"{ACCOUNT}/token", token),
            ("default/token", token),
            ("service-accounts/default/", account),
        ):
            if asked.path.endswith(end):
                self.tokens += told is token
                return Reply(200, told, flavor)
        texts = {"/": "computeMetadata/\n", "/computeMetadata/v1/project/project-id": PROJECT}
        return (
            Reply(200, texts[asked.path], flavor | {"Content-Type": "text/plain"})
            if asked.path in texts
            else Reply(404)
        )

    def _answer(self, asked: Asked, path: str) -> Reply:
        if path.endswith("/resize"):
            return self._resize(asked, path.removesuffix("/resize"))
        for kept in (self.instances, self.disks, self.operations):
            if path in kept:
                return Reply(200, dict(kept[path]))
        return error(404, f"The resource '{path}' was not found", "notFound")

    def _resize(self, asked: Asked, path: str) -> Reply:
        """A request whose mark is known is answered with what became of it, and nothing more is done."""
        mark, size = asked.query["requestId"], asked.json["sizeGb"]
        for operation in self.operations.values():
            if operation["clientOperationId"] == mark:
                return Reply(200, dict(operation))
        if int(size) <= int(self.disks[path]["sizeGb"]):
            return error(400, f"Invalid value for field 'sizeGb': '{size}'. New disk size must be larger.", "invalid")
        name = f"operation-{len(self.operations) + 1}-{mark[:8]}"
        at = re.sub(r"disks/.*", f"operations/{name}", path)
        self.operations[at] = {
            "kind": "compute#operation", "id": str(9_000 + len(self.operations)), "name": name, "status": "RUNNING",
            "operationType": "resizeDisk", "targetLink": f"{ROOT}/{path}", "clientOperationId": mark, "progress": 0,
        }  # fmt: skip
        self.wanted[at] = (path, size)
        return Reply(200, dict(self.operations[at]))


@contextmanager
def running() -> Iterator[tuple[Compute, Loopback]]:
    compute = Compute()
    with loopback(compute.answer) as http:
        compute.http = http
        yield compute, http
