"""What a TLS endpoint serves: believed as a client would believe it, or else read without believing it.

One time-out holds for everything that is asked of an endpoint: connecting (to each of its addresses), what comes before
TLS, and shaking hands, twice where it is not believed. Nothing is sent there but what a handshake needs.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from byteport.adapters.starttls import STEPS
from byteport.errors import Permanent, Transient
from byteport.model.facts.tls import ServedCertificate

DATES = frozenset((9, 10))  # OpenSSL's codes: not yet valid, has expired; of any certificate of the chain
NO_ISSUER = frozenset((2, 20, 21))  # an issuer's certificate is missing, or the first cannot be verified


@dataclass(frozen=True)
class Line:
    """A connection that must have done everything at a time of this process's own clock."""

    raw: socket.socket
    until: float

    def timed(self) -> socket.socket:
        """For the next move; raises TimeoutError where there is no time left for one."""
        self.raw.settimeout(_left(self.until))
        return self.raw


@dataclass(frozen=True)
class TlsReader:
    """`ca_file`: certificates to trust instead of the system's. `patience` bounds one look at one endpoint."""

    patience: timedelta = timedelta(seconds=10)
    ca_file: Path | None = None

    def served(self, host: str, port: int, server_name: str = "", starttls: str = "none") -> ServedCertificate:
        """Raises Transient where nobody answers or no TLS is spoken, Permanent for what cannot be read."""
        until, name = monotonic() + self.patience.total_seconds(), server_name or host
        try:
            try:
                chain = _shaken(host, port, name, starttls, ssl.create_default_context(cafile=self.ca_file), until)
                return _read(chain, f"{host}:{port}", None)
            except ssl.SSLCertVerificationError as wrong:
                chain = _shaken(host, port, name, starttls, _believing_nothing(), until)
                return _read(chain, f"{host}:{port}", wrong)
        except (OSError, ValueError) as problem:
            told = str(problem)[:200] or type(problem).__name__
            raise Transient(f"tls {host}:{port}: {told}") from problem


def _believing_nothing() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # to read also what is too weak to be believed
    return context


def _shaken(
    host: str, port: int, name: str, starttls: str, context: ssl.SSLContext, until: float
) -> list[bytes]:  # fmt: skip
    """The certificates that are served, the endpoint's own first."""
    with _connected(host, port, until) as raw:
        line = Line(raw, until)
        STEPS[starttls](line)
        with context.wrap_socket(line.timed(), server_hostname=name, do_handshake_on_connect=False) as wrapped:
            wrapped.settimeout(_left(until))  # of the whole handshake, as CPython has it
            wrapped.do_handshake()
            return _chain(wrapped)


def _connected(host: str, port: int, until: float) -> socket.socket:
    """By the first address that answers; one that swallows everything leaves time for the others."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for place, (family, kind, protocol, _, address) in enumerate(found, 1):
        raw = socket.socket(family, kind, protocol)
        try:
            raw.settimeout(_left(until) / (len(found) - place + 1))
            raw.connect(address)
        except OSError:
            raw.close()
            if place == len(found):
                raise
        else:
            return raw
    raise OSError("it has no address")


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _chain(wrapped: ssl.SSLSocket) -> list[bytes]:
    """Public since Python 3.13; before, the same of the object below it; the first alone where there is neither."""
    asked: Any = getattr(wrapped, "get_unverified_chain", None)
    asked = asked or getattr(getattr(wrapped, "_sslobj", None), "get_unverified_chain", None)
    told = asked() if asked is not None else None
    ders = [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in told or ()]
    return ders or [wrapped.getpeercert(binary_form=True) or b""]


def _read(chain: list[bytes], where: str, wrong: ssl.SSLCertVerificationError | None) -> ServedCertificate:
    try:
        found = [x509.load_der_x509_certificate(der) for der in chain]
    except ValueError as unreadable:
        raise Permanent(f"tls {where}: a certificate that cannot be read ({unreadable})") from None
    own = found[0]
    return ServedCertificate(
        serial=f"{own.serial_number:x}", subject=_common_name(own.subject), issuer=_common_name(own.issuer),
        not_before=own.not_valid_before_utc, not_after=own.not_valid_after_utc, names=_names(own),
        chain=tuple(_common_name(one.subject) for one in found[1:]), wrong=_words(found, wrong),
    )  # fmt: skip


def _words(chain: list[x509.Certificate], wrong: ssl.SSLCertVerificationError | None) -> str:
    """Why it is not believed; empty where it is only out of its own dates, which tell that better."""
    if wrong is None:
        return ""
    own, now = chain[0], datetime.now(UTC)
    own_dates = not own.not_valid_before_utc <= now <= own.not_valid_after_utc
    if wrong.verify_code in DATES:
        return "" if own_dates else f"{wrong.verify_message}: not this certificate, one above it"
    alone = len(chain) == 1 and own.issuer != own.subject and wrong.verify_code in NO_ISSUER
    return f"{wrong.verify_message}; it is served without its issuer's" if alone else wrong.verify_message


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(told.get_values_for_type(x509.DNSName))
