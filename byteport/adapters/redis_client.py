"""A client of one Redis: of the server that a URL names, or of the master that Sentinels agree on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import SplitResult, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoPermissionError, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from byteport.errors import BadConfiguration

SENTINEL = "sentinel"
SENTINEL_PORT = 26379
EXPECTED = "sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DB]"


def client_of(url: str, patience: timedelta) -> Redis:
    """Connects when first used. One new try where a kept connection turns out to be dead; none after a time-out.

    Raises BadConfiguration for a Sentinel URL that names no master.
    """
    wait = patience.total_seconds()
    if urlsplit(url).scheme == SENTINEL:
        return _through_sentinels(urlsplit(url), wait)
    return Redis.from_url(url, socket_timeout=wait, socket_connect_timeout=wait, retry=_once_more(1))


def _through_sentinels(parts: SplitResult, wait: float) -> Redis:
    """Every new connection asks who is master now. The login is Redis'; the Sentinels are asked without one."""
    master, _, db = parts.path.strip("/").partition("/")
    hosts = list(sentinels_of(parts))
    if not master or not hosts or not (db or "0").isdecimal():
        raise BadConfiguration((("budgets_url", EXPECTED),))
    times = {"socket_timeout": wait, "socket_connect_timeout": wait}
    sentinels = Sentinel(hosts, sentinel_kwargs={**times, "retry": _once_more(0)})  # type: ignore[no-untyped-call]
    client: Redis = sentinels.master_for(  # type: ignore[no-untyped-call]
        unquote(master),
        db=int(db or "0"),
        username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None,
        retry=_once_more(1),
        **times,
    )
    return client


def sentinels_of(parts: SplitResult) -> Iterator[tuple[str, int]]:
    """The hosts and ports of a Sentinel URL; those that have no number for a port are left out."""
    for place in parts.netloc.rpartition("@")[2].split(","):
        host, _, port = place.strip().rpartition(":") if ":" in place and not place.endswith("]") else (place, "", "")
        if host and (port or "0").isdecimal():
            yield host.strip("[]"), int(port or SENTINEL_PORT)


def _once_more(times: int) -> Retry:
    return Retry(NoBackoff(), times, supported_errors=(NoConnection,))


class Door:
    """Whether a Redis takes work: it answers, and would write."""

    def __init__(self, url: str, patience: timedelta = timedelta(seconds=2)) -> None:
        self._client = client_of(url, patience)

    def answers(self) -> bool:
        """A write that changes nothing is asked for, so that a full server or a replica counts as gone too."""
        try:
            self._client.lpushx("byteport:nobody", "")
        except NoPermissionError:
            return True  # it answers; which keys we may write is not the question
        except (RedisError, OSError):
            return False
        return True

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
