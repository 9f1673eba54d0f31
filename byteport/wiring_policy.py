"""What people have decided, from the configuration, as the engine reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from byteport.engine.matching import agrees, facts_of
from byteport.engine.policy import Policy
from byteport.model.signal import Signal
from byteport.model.target import Target, TargetKind
from byteport.ourselves import own_keys
from byteport.settings import Settings

DISTURBING = ("slack", "pagerduty", "postmark")
CARRY_THEIR_OWN = (TargetKind.HOST, TargetKind.POD, TargetKind.NODE, TargetKind.DEPLOYMENT, TargetKind.CONTAINER)


def policy_of(settings: Settings, channels: tuple[str, ...] = ()) -> Policy:
    """The people's decisions as the engine reads them."""
    limits = settings.policy
    return Policy(
        runbook_dry_run=settings.runbook_dry_run,
        mode=settings.explicit_mode,
        file_modes={name: s.mode for name, s in settings.runbooks.items() if s.mode is not None},
        options={name: s.options for name, s in settings.runbooks.items()},
        floor=limits.confidence_floor,
        floors={n: s.confidence_floor for n, s in settings.runbooks.items() if s.confidence_floor is not None},
        target_options=_target_options(settings),
        annotations=_annotations(settings),
        configured=_configured(settings),
        pause_process=settings.pause,
        pause_file=settings.pause_file,
        storm_threshold=limits.storm_threshold,
        max_concurrent=limits.max_concurrent_remediations,
        first_day_rate=limits.first_day_rate,
        self_targets=frozenset((*settings.self_targets, *own_keys(settings))),
        base_url=settings.web.url,
        channels=channels,
        configuration=settings.digest(),
        retention=timedelta(days=limits.retention_days),
        maintenance=_maintenance(settings),
        operators=_operators(settings, channels),
        team=_team(settings),
        notifications=limits.notifications,
        repeat_after=timedelta(minutes=limits.repeat_minutes),
    )


def _maintenance(settings: Settings) -> Callable[[str, Signal, datetime], str]:
    """The window that is open for a signal, in words."""

    def maintenance(runbook: str, signal: Signal, now: datetime) -> str:
        facts = facts_of(runbook, signal)
        for window in settings.maintenance:
            until = window.open_until(now) if agrees(window.match, facts) else None
            if until is not None:
                return f"{window.why} (maintenance until {until:%Y-%m-%d %H:%M} UTC)"
        return ""

    return maintenance


def _team(settings: Settings) -> Callable[[str, Signal], str]:
    """The first team that a signal belongs to; empty for nobody's."""

    def team(runbook: str, signal: Signal) -> str:
        facts = facts_of(runbook, signal)
        return next((name for name, section in settings.teams.items() if section.owns(facts)), "")

    return team


def people_problems(settings: Settings, channels: tuple[str, ...]) -> list[tuple[str, str]]:
    """What the configuration says of people that leads nowhere."""
    wrong = [
        (f"policy.operators.{place}", f"a channel that is configured ({', '.join(channels)}), not {name!r}")
        for place, name in enumerate(settings.policy.operators)
        if name not in channels
    ]
    slack = settings.channels.slack
    if slack.approvers and slack.in_clear("signing_secret") is None:
        wrong.append(("channels.slack.signing_secret", "required with approvers: a click could not be believed"))
    return wrong


def _operators(settings: Settings, channels: tuple[str, ...]) -> tuple[str, ...]:
    """As configured, else the ways by which people are reached at once."""
    named = settings.policy.operators or tuple(name for name in DISTURBING if name in channels)
    return tuple(name for name in named if name in channels)


def _section_of(settings: Settings, target: Target) -> Any:
    """The configured database that a target is, or None."""
    if target.kind is not TargetKind.DATABASE:
        return None
    return next((section for section in settings.databases.values() if section.key == target.key), None)


def _configured(settings: Settings) -> Callable[[Target], Target | None]:
    """A configured database or host as it stands there: what it is within decides caps, locks and self-protection."""
    known = {section.key: section.target(name) for name, section in settings.databases.items()}

    def configured(target: Target) -> Target | None:
        if target.kind is TargetKind.HOST:
            return _host(settings, target)
        return known.get(target.key) if target.kind is TargetKind.DATABASE else None

    return configured


def _host(settings: Settings, target: Target) -> Target | None:
    """A host, or a mount of one, by its name here: whoever tells of it may know it by its address."""
    told = target.coordinates.get("host") or target.key
    name = next((name for name, one in settings.hosts.items() if told in (name, one.address)), None)
    if name is None:
        return None
    mount = target.coordinates.get("mount", "")
    within = tuple(one for one in target.within if not one.startswith("host:"))
    return target.with_(
        key=f"{name}:{mount}" if mount else name,
        within=(f"host:{name}", *within) if mount else within,
        coordinates={**target.coordinates, "host": name, "group": settings.hosts[name].group},
    )


def _annotations(settings: Settings) -> Callable[[Target], Mapping[str, str] | None]:
    """Databases have their opt-ins and opt-outs in the configuration. Of what carries its own, and of a database that
    is not configured, nothing is known here."""

    def annotations(target: Target) -> Mapping[str, str] | None:
        if (section := _section_of(settings, target)) is not None:
            known: Mapping[str, str] = section.annotations
            return known
        return None if target.kind is TargetKind.DATABASE or target.kind in CARRY_THEIR_OWN else {}

    return annotations


def _target_options(settings: Settings) -> Callable[[Target], Mapping[str, Any]]:
    """What the configuration says of one target beside the page's options."""

    def options(target: Target) -> Mapping[str, Any]:
        section = _section_of(settings, target)
        return {"allowlist": section.allowlist, "workloads": section.workloads} if section is not None else {}

    return options
