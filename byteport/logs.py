"""Structured logs: one line for each event, ours and every library's, with what is bound (incident, task), no secret.

JSON for machines, coloured lines for people at a terminal. Secrets are struck out last, so tracebacks are too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

from byteport.redaction import redact

Format = Literal["json", "console"]

QUIET = (
    "httpx",
    "httpcore",
    "kubernetes",
    "paramiko",
    "urllib3",
    "slack_sdk",
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
)


def configure(stream: TextIO | None = None, level: int = logging.INFO, form: Format = "json") -> None:
    """Send every log of this process to `stream` (standard error); a second call replaces the first."""
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(common, form))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


@contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Bind ids (incident=…, task=…) to every line that this thread logs within; what was bound before comes back."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def _formatter(common: list[Any], form: Format) -> structlog.stdlib.ProcessorFormatter:
    renderer = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*common, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            without_secrets,
            renderer,
        ],
    )


def without_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Every value redacted, and every traceback, which by now is text."""
    clean: dict[str, Any] = redact(dict(event))
    return clean
