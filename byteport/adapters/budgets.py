"""Budgets on Redis: what may be spent is decided in one script, on the server's own clock.

The script stands in budgets.lua. Redis grants quickly and may forget; the ledger recounts, so forgetting delays and
never overspends. What lasts for ever (an incident's ceiling) stays until the next rebuild, which the ledger's retention
feeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from byteport.adapters.redis_client import client_of
from byteport.errors import Permanent, Unavailable
from byteport.grammar.verdict import Claim, Count, Grant
from byteport.redaction import redact_text
from byteport.stores import Spend

EPOCH = "byteport:epoch"
PREFIX = "byteport:b:"
GRANT = PREFIX + "grant:"
WINDOW = PREFIX + "w:"
PATIENCE = timedelta(seconds=2)
POLICY = "noeviction"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class RedisBudgets:
    """The `Budgets` port. Every decision is one round trip; whatever goes wrong raises Unavailable and grants nothing.

    A reservation whose answer was lost may stand: asking again with the same key returns it.
    """

    def __init__(self, server: str | Redis, patience: timedelta = PATIENCE) -> None:
        self._client = server if isinstance(server, Redis) else client_of(server, patience)
        self._script = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
        self.digest = hashlib.sha1(self._script.encode(), usedforsecurity=False).hexdigest()

    def reserve(self, key: str, claims: Sequence[Claim]) -> Grant:
        """One action spends once on a claim's key, however many of its claims watch that key (the largest amount)."""
        return self._decide("reserve", key, claims)

    def peek(self, claims: Sequence[Claim], ahead: Mapping[str, int] | None = None) -> Grant:
        """Reads only; the grant has no key."""
        return self._decide("peek", "", claims, ahead)

    def give_back(self, key: str) -> None:
        self._ask([EPOCH, GRANT + key], ["give_back", key])

    def counts(self, claims: Sequence[Claim]) -> list[Count]:
        """`frees_at`: when the oldest spend leaves the window; None where nothing is spent, or for ever."""
        answer = self._ask(_keys("", claims), ["counts", "", *_asked(claims, {})])
        return [
            Count(key=claim.key, used=int(used), limit=claim.limit, frees_at=_time(frees))
            for claim, used, frees in zip(claims, answer[::2], answer[1::2], strict=True)
        ]

    def epoch(self) -> int:
        with _unavailable():
            told = self._client.get(EPOCH)
            return int(told) if isinstance(told, bytes | str) and told.isdigit() else 0

    def rebuild(self, epoch: int, spends: Sequence[Spend]) -> None:
        """A grant whose intent the ledger does not know is forgotten with its spends. Raises Permanent on an epoch
        below one."""
        if epoch < 1:
            raise Permanent(f"an epoch is at least 1, not {epoch}")
        told = [part for spend in _summed(spends) for part in spend]
        self._ask([EPOCH], ["rebuild", epoch, PREFIX, GRANT, WINDOW, *told])

    def check(self) -> None:
        with _unavailable():
            policy = self._client.info("memory").get("maxmemory_policy")
        if policy != POLICY:
            raise Permanent(f"the budgets' Redis may evict keys: set maxmemory-policy to {POLICY}, it is {policy!r}")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _decide(self, word: str, key: str, claims: Sequence[Claim], ahead: Mapping[str, int] | None = None) -> Grant:
        answer = self._ask(*self.asked(word, key, claims, ahead))
        granted, amount, epoch, refusing, used, frees_at, _now = answer
        if granted:
            return Grant(key=key, granted=True, amount=amount, epoch=epoch)
        refused_by = claims[refusing - 1] if refusing else None
        return Grant(
            key=key, granted=False, epoch=epoch, refused_by=refused_by, used=used, frees_at=_time(frees_at)
        )  # fmt: skip

    @staticmethod
    def asked(
        word: str, key: str, claims: Sequence[Claim], ahead: Mapping[str, int] | None = None
    ) -> tuple[list[str], list[str]]:
        """The keys and the arguments of the script for one decision."""
        return _keys(key, claims), [word, key, *_asked(claims, ahead)]

    def _ask(self, keys: Sequence[str], words: Sequence[str | int]) -> Any:
        """By the script's digest; only a server that has never seen it, or was told to forget it, gets its text."""
        try:
            return self._client.evalsha(self.digest, len(keys), *keys, *words)
        except NoScriptError:
            with _unavailable():
                return self._client.eval(self._script, len(keys), *keys, *words)
        except (RedisError, OSError) as error:
            raise _no_answer(error) from error


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise _no_answer(error) from error


def _no_answer(error: Exception) -> Unavailable:
    return Unavailable(f"the budgets store did not answer: {redact_text(str(error))[:200]}")


def _keys(key: str, claims: Sequence[Claim]) -> list[str]:
    return [EPOCH, GRANT + key, *(WINDOW + claim.key for claim in claims)]


def _asked(claims: Sequence[Claim], ahead: Mapping[str, int] | None) -> list[str]:
    """One text for each claim, since every argument costs. Raises Permanent on an amount or a window below nothing: it
    would make room for others."""
    asked = []
    for claim in claims:
        window, amount = _micros(claim.window_seconds), claim.amount
        if amount < 0 or claim.window_seconds < 0:
            raise Permanent(f"{claim.guard} claims less than nothing of {claim.key}")
        before = max(0, ahead.get(claim.key, 0)) if ahead else 0
        asked.append(f"{claim.limit} {window} {amount} {claim.up_to:d} {claim.counts_only:d} {before}")
    return asked


def _summed(spends: Sequence[Spend]) -> list[tuple[str, str, int, int, int]]:
    """(key, intent, amount, age, window), once for each key and intent: amounts added, the younger age, and the longest
    window that watches the key, for a shorter one does not make its spends forgotten to the others."""
    lines: dict[tuple[str, str], tuple[int, int]] = {}
    longest: dict[str, float] = {}
    for spend in spends:
        where, age = (spend.claim_key, spend.intent), _micros(max(0.0, spend.age_seconds))
        amount, youngest = lines.get(where, (0, age))
        lines[where] = (amount + max(0, spend.amount), min(age, youngest))
        window = _micros(spend.window_seconds) or inf
        longest[spend.claim_key] = max(window, longest.get(spend.claim_key, 0))
    return [
        (key, intent, amount, age, 0 if longest[key] == inf else int(longest[key]))
        for (key, intent), (amount, age) in lines.items()
        if amount and age < longest[key]
    ]


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _time(micros: bytes | str) -> datetime | None:
    return _BEGINNING + timedelta(microseconds=int(micros)) if micros else None
