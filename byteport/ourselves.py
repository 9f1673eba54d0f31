"""What BytePort itself would be as a target: it never acts on these."""

from __future__ import annotations

import socket

from byteport.settings import Settings
from byteport.settings.database import address, server_of

STORES = ("database_url", "broker_url", "budgets_url")


def own_keys(settings: Settings) -> tuple[str, ...]:
    """This process's host, and the stores that it works with."""
    stores = [settings.in_clear(name) for name in STORES]
    return (f"host:{socket.gethostname()}", *(key for url in stores if url for key in store_keys(url)))


def store_keys(url: str) -> tuple[str, ...]:
    """The names that one of our own stores would have: its server, and its database on it."""
    try:
        parts = address(url)
    except ValueError:
        return ()
    return (f"server:{server_of(parts)}", f"database:{server_of(parts)}{parts.path}")
