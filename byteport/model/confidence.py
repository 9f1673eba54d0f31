"""How sure a diagnosis must be before anything is done: what everybody starts from. In a module of its own, so that the
configuration can be read without the grammar of pages."""

from __future__ import annotations

CONFIDENCE_FLOOR = 70
