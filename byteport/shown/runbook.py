"""A runbook as listed: read off its page, with the mode that holds now."""

from __future__ import annotations

from byteport.engine.pages import Pages
from byteport.engine.policy import Policy
from byteport.grammar.reading import listing
from byteport.grammar.runbook import Runbook
from byteport.grammar.truth import said
from byteport.model.base import Json
from byteport.records.standing import Promotion


def shown(page: Runbook, policy: Policy, promotion: Promotion | None = None) -> Json:
    """`byteport runbooks show SLUG --json`."""
    return {
        **listing(page),
        "mode": str(policy.mode_of(page.name, promotion)),
        "digest": page.digest,
        "cooldown_seconds": page.cooldown.total_seconds(),
        "critical": said(page.critical) if page.critical is not None else "as severe as its source says",
    }


def listed(pages: Pages, policy: Policy, promotions: dict[str, Promotion]) -> list[Json]:
    """`byteport runbooks list --json`: one line for each page."""
    return [
        {
            "slug": page.name,
            "title": page.title,
            "category": page.category,
            "maturity": page.maturity,
            "enabled": pages.is_enabled(page),
            "mode": str(policy.mode_of(page.name, promotions.get(page.name))),
            "signals": [signal.name for signal in page.signals],
        }
        for page in pages.all
    ]
