"""Spinnaker's echo, by a REST endpoint of its configuration (`rest.endpoints`): pipelines that have ended.

The form is echo's Event: `details` (type, application, created in milliseconds) and `content` with the execution. Echo
does not sign: give the endpoint a username and the secret as its password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from byteport.errors import BadSignal
from byteport.model.alert import Alert
from byteport.model.base import Json
from byteport.model.signal import Severity
from byteport.sources.incoming import (
    Heard,
    Incoming,
    Source,
    attempt,
    by_password,
    id_of,
    labels,
    not_later,
    part,
    struck,
    text,
)  # fmt: skip

NAME = "spinnaker"
FAILED = "orca:pipeline:failed"
COMPLETE = "orca:pipeline:complete"


def parse(payload: Json, incoming: Incoming) -> Sequence[Heard]:
    """A pipeline that failed, or that the same pipeline has ended well since; other events are of no interest."""
    heard = attempt(lambda: _alert(payload, incoming))
    return (heard,) if heard is not None else ()


def _alert(payload: Json, incoming: Incoming) -> Alert | None:
    details = part(payload, "details")
    kind = details.get("type")
    if kind not in (FAILED, COMPLETE):
        return None
    execution = part(part(payload, "content", "content."), "execution", "content.execution.")
    application = text(execution.get("application") or details.get("application"), 200)
    if not application or not execution.get("id"):
        raise BadSignal("content.execution", "an execution with its id and application")
    parameters = _mapping(_mapping(execution.get("trigger")).get("parameters"))
    failed = kind == FAILED
    told = labels(
        application=application, pipeline=execution.get("name"), execution_id=execution.get("id"),
        status=execution.get("status"), pipeline_id=execution.get("pipelineConfigId"),
        user=_mapping(execution.get("trigger")).get("user"), stage=_failed_stage(execution),
        namespace=parameters.get("namespace"), cluster=parameters.get("cluster"),
        deployment=parameters.get("deployment"),
    )  # fmt: skip
    return Alert(
        source=NAME,
        name="spinnaker_pipeline",
        fired_at=not_later(_ended(execution, details, incoming), incoming),
        resolved=not failed,
        severity=Severity.HIGH,
        summary=text(f"{application}: {execution.get('name')} {str(execution.get('status') or kind).lower()}"),
        labels=told,
        event_id=id_of(execution["id"], kind),
        raw=struck({"details": details, "execution": {k: v for k, v in execution.items() if k != "stages"}}),
    )


def _ended(execution: Mapping[str, object], details: Mapping[str, object], incoming: Incoming) -> datetime:
    for told in (execution.get("endTime"), details.get("created")):
        if str(told or "").isascii() and str(told or "").isdigit() and len(str(told)) < 15:
            return datetime.fromtimestamp(int(str(told)) / 1000, UTC)
    return incoming.at


def _failed_stage(execution: Mapping[str, object]) -> str:
    stages = execution.get("stages")
    found = [stage for stage in stages if isinstance(stage, Mapping)] if isinstance(stages, list) else []
    return next((text(s.get("name"), 200) for s in found if s.get("status") in ("TERMINAL", "FAILED_CONTINUE")), "")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


SOURCE = Source(NAME, by_password, parse, "Spinnaker")
