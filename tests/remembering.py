"""Looks at a poller one after the other, with what it remembers kept as the ledger keeps it: as JSON, elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from byteport.adapters.ledger.rows import plain
from byteport.sources.incoming import Heard
from byteport.sources.polling import Remembering


@dataclass
class Row:
    """`memory` is what the last look that was answered has left."""

    poller: Remembering
    memory: dict[str, Any] = field(default_factory=dict)

    def ask(self, now: datetime) -> Sequence[Heard]:
        looked = self.poller.look(now, self.memory)
        self.memory = json.loads(json.dumps(plain(looked.memory), allow_nan=False))
        return looked.heard
