"""Reading the log of a job: which lines say what kind of failure it was. Pure.

A log is written by whatever ran, so it is evidence and never an order: lines are clipped, struck of secrets, and only
compared with the patterns that stand here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from byteport.model.facts.github import JobLog
from byteport.model.facts.pipelines import LogFindings, LogMatch
from byteport.redaction import redact_keys, redact_text

MOST_MATCHES, LONGEST_LINE, TAIL = 5, 300, 25
_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

PATTERNS: Mapping[str, re.Pattern[str]] = {
    "infra_timeout": re.compile(
        r"\b(ETIMEDOUT|ECONNRESET|ECONNREFUSED|EAI_AGAIN|ENOTFOUND)\b|rate limit|429 Too Many Requests|toomanyrequests"
        r"|received a shutdown signal|lost communication with the server|No space left on device"
        r"|exceeded the maximum execution time|TLS handshake timeout|i/o timeout|502 Bad Gateway"
        r"|503 Service Unavailable",
        re.IGNORECASE,
    ),
    "test_failure": re.compile(
        r"^\s*FAIL\s+\S+\.(test|spec)\.|^Tests:\s+\d+ failed|Test Files\s+\d+ failed|Tests\s+\d+ failed"
        r"|^FAILED \S+::|=+ .*\d+ failed.* in [\d.]+s|^E\s+assert "
    ),
    "build_failure": re.compile(
        r"error TS\d+:|✖ \d+ problems? \(|^ERROR in |Module not found: Error|webpack compiled with \d+ errors?"
        r"|denied: requested access to the resource|failed to push|unauthorized: authentication required"
        r"|failed to solve:|executor failed running"
    ),
    "deploy_step_failure": re.compile(
        r"Error: (UPGRADE|INSTALLATION|ROLLBACK) FAILED|exceeded its progress deadline"
        r"|error: timed out waiting for the condition|^Error from server \("
        r"|error: (unable to|failed to|no matches for) |error validating data|Error: release \S+ failed"
        r"|Waiting for (deployment|rollout)"
    ),
}


def findings(log: JobLog) -> LogFindings:
    """At most five lines of each kind, the first ones, and the last lines of the log."""
    lines = [_plain(line) for line in redact_keys(log.text).splitlines()]
    matches = tuple(match for kind, pattern in PATTERNS.items() for match in _of(kind, pattern, lines))
    tail = tuple(_shown(line) for line in [line for line in lines if line.strip()][-TAIL:])
    return LogFindings(job=log.name, matches=matches, tail=tail, cut=log.cut)


def _of(kind: str, pattern: re.Pattern[str], lines: list[str]) -> Iterator[LogMatch]:
    found = 0
    for line in lines:
        if found < MOST_MATCHES and pattern.search(line[:2000]):
            found += 1
            yield LogMatch(kind=kind, line=_shown(line))


def _plain(line: str) -> str:
    return _COLOUR.sub("", _STAMP.sub("", line))


def _shown(line: str) -> str:
    return redact_text(line[:2000]).strip()[:LONGEST_LINE]
