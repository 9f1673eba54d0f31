"""A person's click on a button of ours in Slack, signed by Slack. Pure: the time is given.

Documented under "Verifying requests from Slack" and "Handling user interaction": `X-Slack-Signature` is `v0=` and hex
HMAC-SHA256 over `v0:<X-Slack-Request-Timestamp>:<body>`; the body is a form whose `payload` is JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from byteport.channels.slack_blocks import ACTION, BUTTONS
from byteport.errors import BadInput
from byteport.sources.incoming import Incoming, NotSigned, by_hmac, not_stale

SIGNATURE, TIMESTAMP = "X-Slack-Signature", "X-Slack-Request-Timestamp"
WINDOW = 300.0  # seconds, as Slack advises
_VALUE = re.compile(r"(inc-[0-9a-f]{1,40})(?: ([0-9a-f]{64}))?")


@dataclass(frozen=True)
class Clicked:
    """Who gave which word for which incident, and the digest of the plan that was shown with an approval."""

    word: str
    incident: str
    plan: str
    user: str
    name: str
    answer_to: str

    @property
    def who(self) -> str:
        return f"{self.name} ({self.user}, slack)"


def verify(incoming: Incoming, secret: str) -> None:
    """NotSigned unless Slack has sent it within five minutes."""
    dated = incoming.header(TIMESTAMP)
    not_stale(dated, incoming.now, WINDOW, TIMESTAMP)
    given = incoming.header(SIGNATURE)
    if not given.startswith("v0="):
        raise NotSigned(f"{SIGNATURE}: v0=<hex> is expected")
    by_hmac(f"v0:{dated}:".encode() + incoming.body, secret, given.removeprefix("v0="), SIGNATURE)


def parse(body: bytes) -> Clicked | None:
    """None for what is no click on a button of ours. Raises BadInput for a form that is none."""
    try:
        told = json.loads(parse_qs(body.decode(), strict_parsing=True, max_num_fields=8)["payload"][0])
    except (ValueError, KeyError, RecursionError):
        raise BadInput("payload", "a form with Slack's payload") from None
    if not isinstance(told, Mapping) or told.get("type") != "block_actions":
        return None
    action = _first(told.get("actions"))
    word = str(action.get("action_id", "")).removeprefix(ACTION)
    found = _VALUE.fullmatch(str(action.get("value", "")))
    if word not in BUTTONS or not str(action.get("action_id", "")).startswith(ACTION) or found is None:
        return None
    user = told.get("user")
    of = user if isinstance(user, Mapping) else {}
    name = " ".join(str(of.get("username") or of.get("name") or "somebody").split())[:80]
    return Clicked(
        word, found[1], found[2] or "", str(of.get("id", ""))[:30], name, str(told.get("response_url", ""))[:500]
    )


def _first(actions: object) -> Mapping[str, Any]:
    listed = actions if isinstance(actions, Sequence) and not isinstance(actions, str) else ()
    return next((one for one in listed if isinstance(one, Mapping)), {})
