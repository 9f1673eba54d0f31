"""The frozen value that everything stored or sent is made of."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Frozen, typed, serialisable; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float")

    def with_(self, **changes: Any) -> Self:
        """Return a validated copy with `changes`; raises pydantic.ValidationError on a wrong one."""
        return type(self).model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})


Json = dict[str, Any]


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values have equal bytes everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def digest_of(value: object) -> str:
    """Hex SHA-256 over the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value)).hexdigest()
