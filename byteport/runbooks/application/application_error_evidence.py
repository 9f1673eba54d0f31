"""What the page on application errors looks at, and how it reads it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from byteport.grammar.evidence import Evidence
from byteport.model.facts.application import (
    ErrorIssue,
    EventRate,
    PastDiagnosis,
    Releases,
    StackTrace,
    Upstreams,
    WorkloadScale,
)
from byteport.probes import application, sentry
from byteport.runbooks.application.error_patterns import DATABASE, MEMORY, UPSTREAM

LEAST_EVENTS = 20

REPLICAS = re.compile(r"--replicas(?:=(\d{1,4}))?")


class ErrorEvidence(Evidence):
    """What we look at (fields, each filled in by its probe) and how we read it (methods)."""

    issue: Annotated[ErrorIssue, sentry.issue]
    rates: Annotated[EventRate, sentry.rates]
    stack_trace: Annotated[StackTrace, sentry.stack_trace]
    deploy_sha: Annotated[Releases, sentry.deploy_sha]
    circuit_breakers: Annotated[Upstreams | None, application.circuit_breakers]
    scale: Annotated[WorkloadScale | None, application.scale]
    known_leaks: Annotated[tuple[PastDiagnosis, ...], application.known_leaks]

    def was_deployed_lately(self) -> bool:
        """A release was deployed inside the window."""
        running = self.deploy_sha.running
        return running is not None and self.looked_at - running.began <= self.window

    def began_after_the_deploy(self) -> bool:
        """Its first or regressed event came after that deploy, and inside the window."""
        running, began = self.deploy_sha.running, self.issue.began_at
        return running is not None and began is not None and running.began <= began <= running.began + self.window

    def comes_from_the_running_release(self) -> bool:
        """The release that is running brought it, and its latest event is of that release."""
        running, began = self.deploy_sha.running, self.issue.began_release
        return running is not None and self.stack_trace.release == running.release and began in ("", running.release)

    def database_refuses_connections(self) -> bool:
        """The stack trace shows database connection failures."""
        return self.line_of(DATABASE) is not None

    def memory_ran_out(self) -> bool:
        """The stack trace shows out of memory."""
        return self.line_of(MEMORY) is not None

    def upstream_answers_5xx(self) -> bool:
        """The stack trace shows an upstream that answers 5xx."""
        return self.line_of(UPSTREAM) is not None

    def is_a_spike(self) -> bool:
        """Twenty events or more in the window, and as many times its usual rate as spikeMultiplier says."""
        now = self.rates
        return now.events >= LEAST_EVENTS and now.per_minute >= self.multiplier * now.baseline

    def rate_is_usual(self) -> bool:
        """Fewer events a minute than spikeMultiplier times the rate that was usual before."""
        return self.rates.per_minute < self.multiplier * self.before.rates.baseline

    def can_be_named(self) -> bool:
        """Short id, permalink and counts of the issue are known."""
        return bool(self.issue.short_id and self.issue.permalink and self.issue.event_count)

    def is_of_the_project(self) -> bool:
        """The commands are for one project, and the issue is of that one."""
        wanted = self.option("project")
        return bool(wanted) and self.target.coordinates.get("project") == wanted

    def goes_back_from_this_release(self) -> bool:
        """An explicit revision stands in the command, and it is the way back from the release that runs."""
        running = self.deploy_sha.running
        return running is not None and self.option("rollbackFromRelease") == running.release and self.has_a_revision

    def scales_up(self) -> bool:
        """The command asks for more replicas than there are, and for no more than the HPA allows."""
        now, to = self.scale, self.replicas_asked
        if now is None or to is None or not self.names_the_deployment:
            return False
        return to > now.replicas and (now.hpa_maximum is None or to <= now.hpa_maximum)

    def no_leak_is_known(self) -> bool:
        """No memory leak of this Deployment was diagnosed in the last seven days."""
        return not self.known_leaks

    def line_of(self, pattern: re.Pattern[str]) -> str | None:
        """The first line of the latest event that shows it."""
        return next((line for line in self.stack_trace.lines if pattern.search(line)), None)

    def option(self, name: str) -> str:
        return str(self.options.get(name) or "")

    def words(self, name: str) -> tuple[str, ...]:
        """A command's words."""
        return tuple(map(str, self.options.get(name) or ()))

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=float(self.options["deployCorrelationMinutes"]))

    @property
    def multiplier(self) -> float:
        return float(self.options["spikeMultiplier"])

    @property
    def has_a_revision(self) -> bool:
        """One that is named, is not 0 (Helm's word for whichever was before), and stands in the command."""
        revision, words = self.option("rollbackRevision"), self.words("rollbackCommand")
        named = any(word == revision or word.partition("=")[2] == revision for word in words[1:])
        return bool(revision.strip("0")) and named and not _is_zero(words)

    @property
    def replicas_asked(self) -> int | None:
        """The one count that the command names; None where it names none or several."""
        words = self.words("scaleUpCommand")
        found: list[int] = []
        for word, following in zip(words, (*words[1:], ""), strict=True):
            if (told := REPLICAS.fullmatch(word)) is not None:
                count = told[1] or following
                found.append(int(count) if count.isdigit() else -1)
        return found[0] if len(found) == 1 and found[0] > 0 else None

    @property
    def names_the_deployment(self) -> bool:
        """The command is about the Deployment whose count was looked at."""
        _, _, rest = self.option("deployment").partition("/")
        namespace, _, name = rest.partition("/")
        said = {part for word in self.words("scaleUpCommand") for part in (word, *re.split(r"[=/]", word))}
        return bool(namespace and name) and {namespace, name} <= said


def _is_zero(words: tuple[str, ...]) -> bool:
    """`helm rollback RELEASE 0`, `--to-revision=0`: back to whichever was before."""
    return any(word in ("0", "--to-revision=0", "--revision=0") for word in words)
