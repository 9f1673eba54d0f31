"""The two ways to GitHub: one that reads, one that dispatches, each with its own token, each only where it belongs."""

from __future__ import annotations

from typing import Any

from byteport.ports_github import GitHubDispatching, GitHubReading
from byteport.settings import Settings
from byteport.wiring_parts import NotConfigured


def github_of(settings: Settings, *, looks: bool, acts: bool) -> tuple[GitHubReading, GitHubDispatching]:
    """What this process may use; whoever has no business there gets what refuses."""
    section = settings.github
    token = section.in_clear("token") if looks else None
    dispatch = section.in_clear("dispatch_token") if acts else None
    reading: Any = NotConfigured("github.token is not configured" if looks else "this process has no way to GitHub")
    writing: Any = NotConfigured("github.dispatch_token is not configured" if acts else "this process may not act")
    if token is None and dispatch is None:
        return reading, writing
    from byteport.adapters import github

    url = str(section.api_url)
    if token is not None:
        reading = github.GitHubReader(github.api(token, url))
    if dispatch is not None:
        writing = github.GitHubDispatcher(github.api(dispatch, url))
    return reading, writing
