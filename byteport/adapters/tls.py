"""What a TLS endpoint serves: read without believing it, and then checked as a client would check it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from byteport.errors import Permanent, Transient
from byteport.model.facts.tls import ServedCertificate

DATES = frozenset((9, 10))  # OpenSSL's codes: not yet valid, has expired; the dates tell that better


@dataclass(frozen=True)
class TlsReader:
    """`ca_file`: certificates to trust instead of the system's."""

    patience: timedelta = timedelta(seconds=10)
    ca_file: Path | None = None

    def served(self, host: str, port: int, server_name: str = "") -> ServedCertificate:
        """Raises Transient where nobody answers or no TLS is spoken, Permanent for what cannot be read."""
        name = server_name or host
        believing_nothing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        believing_nothing.check_hostname = False
        believing_nothing.verify_mode = ssl.CERT_NONE
        der, _ = self._shaken(host, port, name, believing_nothing)
        _, wrong = self._shaken(host, port, name, ssl.create_default_context(cafile=self.ca_file))
        return _read(der, f"{host}:{port}", wrong)

    def _shaken(self, host: str, port: int, name: str, context: ssl.SSLContext) -> tuple[bytes, str]:
        """The served certificate, or why it is not believed. One that is only out of its dates is not called wrong
        here. A line that breaks says nothing of a certificate: Transient."""
        try:
            with (
                socket.create_connection((host, port), timeout=self.patience.total_seconds()) as raw,
                context.wrap_socket(raw, server_hostname=name) as wrapped,
            ):
                return wrapped.getpeercert(binary_form=True) or b"", ""
        except ssl.SSLCertVerificationError as wrong:
            return b"", "" if wrong.verify_code in DATES else wrong.verify_message
        except (OSError, ValueError) as problem:
            told = str(problem)[:200] or type(problem).__name__
            raise Transient(f"tls {host}:{port}: {told}") from problem


def _read(der: bytes, where: str, wrong: str) -> ServedCertificate:
    try:
        found = x509.load_der_x509_certificate(der)
        return ServedCertificate(
            serial=f"{found.serial_number:x}", subject=_common_name(found.subject), issuer=_common_name(found.issuer),
            not_before=found.not_valid_before_utc, not_after=found.not_valid_after_utc, names=_names(found),
            wrong=wrong,
        )  # fmt: skip
    except ValueError as unreadable:
        raise Permanent(f"tls {where}: a certificate that cannot be read ({unreadable})") from None


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(told.get_values_for_type(x509.DNSName))
