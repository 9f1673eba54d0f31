"""PagerDuty's Events API v2 through its own client, which here waits for nothing and repeats nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pagerduty
from httpx2 import Response

from byteport.adapters.http_api import PATIENCE, retry_after, said
from byteport.errors import BytePortError, Denied, Permanent, Transient
from byteport.redaction import redact_text

URL = "https://events.pagerduty.com"


class _Client(pagerduty.EventsApiV2Client):
    """It would sleep and repeat after 429 without end; the outbox keeps the time that PagerDuty named instead. And it
    would refuse a relay on this machine, which speaks plain HTTP."""

    base = URL

    def normalize_url(self, url: str) -> str:
        return f"{self.base.rstrip('/')}{url}"

    def postprocess(self, response: Response) -> None:
        if response.status_code == 429 or response.status_code >= 500:
            told = f"pagerduty: HTTP {response.status_code}: {said(response.content)}"
            raise Transient(told, retry_after=retry_after(response.headers))


@dataclass(frozen=True)
class PagerDutyEvents:
    """With the routing key of an integration. Raises Transient, Permanent or Denied; the key is in no text."""

    routing_key: str = field(repr=False)
    url: str = URL
    patience: timedelta = PATIENCE

    def send(self, action: str, dedup_key: str, event: Mapping[str, Any]) -> str:
        """The dedup key that PagerDuty has the event under."""
        with self._client() as client:
            try:
                return str(client.send_event(action, dedup_key=dedup_key, **event))
            except pagerduty.HttpError as refusal:
                raise _refusal(refusal.response) from None
            except pagerduty.Error as problem:
                raise Transient(f"pagerduty: {redact_text(str(problem))[:200]}") from None

    @contextmanager
    def _client(self) -> Iterator[_Client]:
        client = _Client(self.routing_key)
        client.base = self.url
        client.retry.clear()
        client.max_network_attempts = 0
        client.timeout = max(1, round(self.patience.total_seconds()))
        try:
            yield client
        finally:
            parent: Any = client.parent  # the HTTP client that it keeps
            parent.close()


def _refusal(answer: Response | None) -> BytePortError:
    if answer is None:
        return Transient("pagerduty: no answer")
    if answer.status_code in (401, 403):
        return Denied("pagerduty: the routing key is not accepted")
    if answer.is_success:
        return Transient(f"pagerduty: the answer was not PagerDuty's: {said(answer.content)}")
    return Permanent(f"pagerduty: HTTP {answer.status_code}: {said(answer.content)}")
