"""A host's system services, over systemctl: what they are, what their files allow, and the two things done to them.

The label X-Byteport-Restart stands in a unit's files, most often in a drop-in. `systemctl cat` prints them one after
the other, and a line in one may look like the heading of the next; so it counts only where nobody but root could have
written any of them. Documented in systemctl(1), systemd.unit(5) and systemd.resource-control(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from byteport.adapters.transport import ByName, Completed
from byteport.errors import Denied, Permanent, Transient
from byteport.model.facts.system_units import LABEL, NAME, LabelledUnits, SystemUnit
from byteport.model.privileged import RestartVerb, restart_words, weight_words
from byteport.redaction import redact_text

LOOKS, ACTS = timedelta(seconds=8), timedelta(seconds=10)
MOST_LABELLED = 40
NO_SYSTEMD = 3
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "InvocationID", "NRestarts", "MainPID", "CPUWeight",
    "ActiveEnterTimestampMonotonic", "FragmentPath", "DropInPaths",
)  # fmt: skip
UNITS = f"""
LC_ALL=C; export LC_ALL
command -v systemctl >/dev/null 2>&1 || exit {NO_SYSTEMD}
echo "=== host"; cut -d' ' -f1 /proc/uptime; cat /proc/sys/kernel/random/boot_id
for u in "$@"; do
  echo "=== show"; systemctl show --property={",".join(PROPERTIES)} -- "$u" 2>&1
  echo "=== main"; p=$(systemctl show --property=MainPID -- "$u" | cut -d= -f2)
  printf 'comm '; [ "${{p:-0}}" = 0 ] || tr -c '\\040-\\176' '?' <"/proc/$p/comm" 2>/dev/null; echo
  echo "=== files"
  systemctl show --property=FragmentPath,DropInPaths -- "$u" | cut -d= -f2- | tr ' ' '\\n' | while IFS= read -r f; do
    [ -z "$f" ] || {{ r=$(readlink -f -- "$f" 2>/dev/null); stat -L -c '%u %a %F|%n' -- "$f" "$r" "${{r%/*}}" 2>&1; }}
  done
  echo "=== text"; systemctl cat -- "$u" 2>/dev/null | grep -E '^[[:space:]]*(\\[|{LABEL}[[:space:]]*=)'
done
exit 0
"""
FIND = f"""
LC_ALL=C; export LC_ALL
command -v systemctl >/dev/null 2>&1 || exit {NO_SYSTEMD}
systemctl show --property=Id,FragmentPath,DropInPaths -- '*.service' || exit 4
echo "=== labelled"
systemctl show --property=FragmentPath,DropInPaths -- '*.service' | cut -d= -f2- | tr ' ' '\\n' | sort -u |
  while IFS= read -r f; do [ -z "$f" ] || grep -ls '{LABEL}' -- "$f"; done
exit 0
"""
HEADING = re.compile(r"^=== ", re.MULTILINE)
TRUSTED = re.compile(r"(/etc/systemd|/run/systemd|(/usr)?/lib/systemd|/usr/local/lib/systemd)/.+")
HOW = "byteport permissions RUNBOOK --format sudoers --unit UNIT writes what its sudoers file needs"


@dataclass(frozen=True)
class SystemUnitsOf:
    """Over whichever transport a host has: looking, and what is done by sudo."""

    hosts: ByName

    def unit(self, host: str, name: str) -> SystemUnit | None:
        found = self._units(host, [name])
        return found[0] if found else None

    def labelled(self, host: str) -> LabelledUnits:
        told = self.hosts.get(host).run(("sh", "-c", FIND), within=LOOKS)
        if told.status == NO_SYSTEMD:
            return LabelledUnits(why="there is no systemd")
        if told.status != 0 or told.truncated:
            raise Transient(f"{host}: its services cannot be listed: {_said(told)}")
        names = carrying(told.stdout)
        why = f"only the first {MOST_LABELLED} of {len(names)} were looked at" if len(names) > MOST_LABELLED else ""
        return LabelledUnits(units=self._units(host, names[:MOST_LABELLED]) if names else (), why=why)

    def restart(self, host: str, name: str, was: str, verb: RestartVerb) -> None:
        if (now := self._known(host, name)).invocation != was:
            raise Permanent(f"{name} on {host} was started anew or stopped by somebody meanwhile: {now}")
        self._by_sudo(host, restart_words(name, verb))

    def set_cpu_weight(self, host: str, name: str, was: int | None, to: int | None) -> None:
        now = self._known(host, name)
        if now.cpu_weight not in (was, to):
            raise Permanent(f"CPUWeight of {name} on {host} is {now.cpu_weight} by now, and was {was}: somebody's")
        self._by_sudo(host, weight_words(name, to))

    def _known(self, host: str, name: str) -> SystemUnit:
        if (found := self.unit(host, name)) is None:
            raise Permanent(f"{host} has no service {name}")
        return found

    def _units(self, host: str, names: Sequence[str]) -> tuple[SystemUnit, ...]:
        if wrong := [name for name in names if not NAME.fullmatch(name)]:
            raise Permanent(f"{wrong[0]!r} is no service that can be named exactly")
        told = self.hosts.get(host).run(("sh", "-c", UNITS, "sh", *names), within=LOOKS)
        if told.status == NO_SYSTEMD:
            return ()
        if told.status != 0 or told.truncated:
            raise Transient(f"{host}: its service manager did not answer: {_said(told)}")
        return parsed(told.stdout, host)

    def _by_sudo(self, host: str, words: Sequence[str]) -> None:
        told = self.hosts.get(host).run(("sudo", "-n", *words), within=ACTS)
        if told.status == 0:
            return
        said = _said(told)
        if "password is required" in said or "not allowed" in said or told.status in (126, 127):
            raise Denied(f"{host}: sudo does not let {' '.join(words)} through ({said}); {HOW}")
        raise Permanent(f"{host}: {' '.join(words)} failed: {said}")


def carrying(text: str) -> list[str]:
    """Pure. The services one of whose files holds the label, by their own names."""
    blocks, _, files = text.partition("=== labelled\n")
    labelled = set(files.split("\n")) - {""}
    found = []
    for block in blocks.split("\n\n"):
        told = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
        paths = {told.get("FragmentPath", ""), *told.get("DropInPaths", "").split(" ")}
        if paths & labelled and NAME.fullmatch(told.get("Id", "")):
            found.append(told["Id"])
    return sorted(set(found))


def parsed(text: str, host: str = "") -> tuple[SystemUnit, ...]:
    """Pure. What is not loaded is left out; raises Transient where the service manager did not say how one is."""
    parts = [(head, list(filter(None, lines))) for head, *lines in (p.split("\n") for p in HEADING.split(text)[1:])]
    clock = next((lines for head, lines in parts if head == "host"), [])
    found, shown = [], [n for n, (head, _) in enumerate(parts) if head == "show"]
    for n in shown:
        told = dict(line.split("=", 1) for line in parts[n][1] if "=" in line)
        if told.get("LoadState") == "not-found":
            continue
        if not told.get("ActiveState") or not told.get("Id"):
            raise Transient(f"{host}: its service manager did not answer: {' '.join(parts[n][1])[:200]}")
        more = dict(parts[n + 1 : n + 4])
        found.append(_unit(told, more, clock))
    return tuple(found)


def _unit(told: Mapping[str, str], more: Mapping[str, list[str]], clock: Sequence[str]) -> SystemUnit:
    why = next(_doubts(told, more.get("files", [])), "")
    command = "".join(more.get("main", [])[:1]).removeprefix("comm ").removesuffix("?")
    return SystemUnit(
        name=told["Id"], active=told["ActiveState"], sub=told.get("SubState", ""), result=told.get("Result", ""),
        invocation=told.get("InvocationID", ""), restarts=_number(told.get("NRestarts")), up_seconds=_up(told, clock),
        main_pid=_number(told.get("MainPID")) or 0, command=command,
        cpu_weight=_weight(told.get("CPUWeight")), boot=clock[1] if len(clock) > 1 else "",
        label="" if why else labelled_as(more.get("text", [])), why=why,
    )  # fmt: skip


def _doubts(told: Mapping[str, str], files: Sequence[str]) -> Iterator[str]:
    """Why somebody else than root may have written one of its files, or the folder it lies in."""
    named = [path for path in (told.get("FragmentPath", ""), *told.get("DropInPaths", "").split(" ")) if path]
    if not named:
        yield "it has no files"
    seen = {path for _, _, path in (line.partition("|") for line in files)}
    yield from (f"{path} cannot be looked at" for path in named if path not in seen)
    for line in files:
        told_of, _, path = line.partition("|")
        owner, mode, *kind = [*told_of.split(" ", 2), "", ""]
        if not mode.isdigit() or owner != "0" or int(mode, 8) & 0o022:
            yield f"{path or told_of} can be written by others than root"
        elif not TRUSTED.fullmatch(path) or kind[0] not in ("regular file", "regular empty file", "directory"):
            yield f"{path} is no file of the system's service manager"


def labelled_as(lines: Sequence[str]) -> str:
    """Pure. The last value of X-Byteport-Restart in a [Unit] section."""
    section, value = "", ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line
        elif section == "[Unit]" and (name := line.partition("="))[0].strip() == LABEL:
            value = name[2].strip()
    return value


def _up(told: Mapping[str, str], clock: Sequence[str]) -> float | None:
    """None where the host's two clocks do not fit together, as in some containers."""
    since = _number(told.get("ActiveEnterTimestampMonotonic"))
    if not since or not clock or (up := float(clock[0]) - since / 1e6) < -1:
        return None
    return round(max(0.0, up), 1)


def _weight(text: str | None) -> int | None:
    number = _number(text)
    return number if number is not None and number <= 10_000 else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _said(told: Completed) -> str:
    return redact_text(" ".join((told.stderr or told.stdout).split()))[:300]
