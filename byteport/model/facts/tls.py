"""What a TLS endpoint serves, in our words."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import AwareDatetime

from byteport.model.base import Value


class ServedCertificate(Value):
    """The certificate on the wire. `chain` are the subjects of those that were served with it. `wrong` says why a
    client would not believe it, its own dates apart; empty where it would."""

    serial: str
    subject: str
    issuer: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    names: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    wrong: str = ""

    def left(self, now: datetime) -> timedelta:
        """Until it expires; negative afterwards."""
        return self.not_after - now
