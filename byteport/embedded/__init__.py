"""Servers from Python wheels, for one machine that has none: PostgreSQL and Redis on the loopback address."""

from byteport.embedded.errors import NotStarted
from byteport.embedded.loopback import free_port
from byteport.embedded.postgres import EmbeddedPostgres, RunningPostgres
from byteport.embedded.redis import EmbeddedRedis, RunningRedis

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "NotStarted",
    "RunningPostgres",
    "RunningRedis",
    "free_port",
]
