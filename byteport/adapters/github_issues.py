"""GitHub's issues as a place where people are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from byteport.adapters.github import PAGE, path_of
from byteport.adapters.http_api import HttpApi

MOST_PAGES = 5


@dataclass(frozen=True)
class GitHubIssues:
    """The issues of one repository. Needs Issues: write."""

    api: HttpApi
    repository: str

    def create(self, title: str, body: str, labels: Sequence[str]) -> int:
        """The issue's number. Not idempotent."""
        told = {"title": title, "body": body, "labels": list(labels)}
        return int(self.api.ask("POST", path_of(self.repository, "issues"), json=told).json()["number"])

    def comment(self, number: int, body: str) -> int:
        """The comment's id. Not idempotent."""
        path = path_of(self.repository, "issues", number, "comments")
        return int(self.api.ask("POST", path, json={"body": body}).json()["id"])

    def close(self, number: int) -> None:
        """Closing twice is closing once."""
        told = {"state": "closed", "state_reason": "completed"}
        self.api.ask("PATCH", path_of(self.repository, "issues", number), json=told)

    def bodies(self, label: str, since: datetime) -> Iterator[tuple[int, str]]:
        """Number and body of the issues with that label that were touched since, the newest first."""
        asked = {
            "labels": label, "state": "all", "since": _iso(since), "sort": "created", "direction": "desc",
        }  # fmt: skip
        for told in self._pages(path_of(self.repository, "issues"), asked):
            yield int(told["number"]), str(told.get("body") or "")

    def comments(self, number: int, since: datetime) -> Iterator[str]:
        """The comments' bodies."""
        path = path_of(self.repository, "issues", number, "comments")
        for told in self._pages(path, {"since": _iso(since)}):
            yield str(told.get("body") or "")

    def _pages(self, path: str, params: dict[str, str]) -> Iterator[dict[str, Any]]:
        for page in range(1, MOST_PAGES + 1):
            found = self.api.ask("GET", path, params={**params, "per_page": str(PAGE), "page": str(page)}).json()
            yield from found
            if len(found) < PAGE:
                return


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
