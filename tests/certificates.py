"""Certificates made for one test, and servers that serve them over real TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """A certificate authority that nobody trusts by itself. `above` are the certificates between it and the root."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def made(cls, name: str = "Test CA") -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, _signed(name, name, key, key, days=3650, ca=True))

    def below(self, name: str, days: float = 3650) -> Authority:
        """One that this one vouches for, for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _signed(name, self.name, key, self.key, days=days, ca=True)
        return Authority(key, made, (made, *self.above))

    @property
    def name(self) -> str:
        return str(self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def file(self, folder: Path) -> Path:
        path = folder / "ca.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def leaf(self, folder: Path, name: str, days: float, *, alone: bool = False) -> Path:
        """Key and certificates in one file; it expires in so many days, negative for one that has. `alone`: without
        those that stand above it."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _signed(name, self.name, key, self.key, days=days, ca=False)
        served = [made, *(() if alone else self.above)]
        path = folder / f"{name}-{days}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in served)
        )
        return path


def _signed(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, days: float, ca: bool
) -> x509.Certificate:
    ends = datetime.now(UTC) + timedelta(days=days)
    common = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, told)]) for told in (name, issuer)]
    made = (
        x509.CertificateBuilder().subject_name(common[0]).issuer_name(common[1]).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(ends - timedelta(days=3700)).not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name.replace(" ", "-"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )  # fmt: skip
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = made.add_extension(usage, critical=True)
    return made.sign(by, hashes.SHA256())


@contextmanager
def serving(pem: Path | None, before: Callable[[socket.socket], None] = lambda _raw: None) -> Iterator[int]:
    """The port on which this certificate is served, after what `before` says to whoever connects; None: nobody is ever
    answered."""
    door = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if pem is not None:
        context.load_cert_chain(pem)
    over, kept = threading.Event(), []

    def shake(raw: socket.socket) -> None:
        with suppress(OSError), raw:
            before(raw)
            raw.getpeername()  # whoever has gone already would leave Python with a socket that nobody can close
            with context.wrap_socket(raw, server_side=True) as wrapped:
                wrapped.settimeout(5)
                wrapped.recv(1)

    def accept() -> None:
        while not over.is_set():
            with suppress(OSError):
                raw, _ = door.accept()
                raw.settimeout(5)
                if pem is None:
                    kept.append(raw)
                else:
                    threading.Thread(target=shake, args=(raw,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield door.getsockname()[1]
    finally:
        over.set()
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(5)
        for raw in kept:
            raw.close()
