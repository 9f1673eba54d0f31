"""Who uses a host's CPUs, watched for some seconds by one script at the host: what its kernel says in /proc.

Written for a POSIX shell and what Debian, RHEL-like systems and busybox have in common, for an ordinary user to run. A
process is called what it likes, line ends and brackets included: every /proc/PID/stat is read by itself and counted
from its last bracket, and names are made printable at the host. Documented in proc(5) and cgroups(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from byteport.adapters.transport import ByName
from byteport.errors import Permanent, Transient
from byteport.model.facts.processes import CpuTicks, CpuUse, Pressure, ProcessUse, TopProcesses, unit_of
from byteport.redaction import redact_text

ASIDE = timedelta(seconds=9)  # beside the seconds that are watched: a host whose CPUs are taken is slow
HEAVIEST, LISTED = 40, 5
HEADING = re.compile(r"^=== ", re.MULTILINE)
CPU = """
LC_ALL=C; export LC_ALL
echo "=== host"; grep -c '^cpu[0-9]' /proc/stat; grep '^btime ' /proc/stat
echo "=== cpu"
n=$1
while :; do
  read -r up rest </proc/uptime; read -r line </proc/stat; echo "$up $line"
  [ "$n" -gt 0 ] || break
  n=$((n - 1)); sleep "$2"
done
exit 0
"""
TOP = f"""
LC_ALL=C; export LC_ALL
of() {{
  t=; while IFS= read -r l || [ -n "$l" ]; do t="$t$l "; done <"/proc/$1/stat"
  [ -n "$t" ] || return 1
  p=$1; set -- ${{t##*) }}
  [ $# -ge 20 ] && echo "$p ${{20}} $((${{12}} + ${{13}}))"
}}
shot() {{ for d in /proc/[0-9]*; do of "${{d#/proc/}}"; done; }}
now() {{ read -r up rest </proc/uptime; read -r line </proc/stat; echo "$up $line"; }}
clean() {{ tr -c '\\040-\\176' '?' | cut -c1-200; echo; }}
exec 2>/dev/null
[ -r /proc/1/stat ] || echo "=== hidden"
first=$(now); a=$(shot); sleep "$1"; b=$(shot); last=$(now)
echo "=== cpu"; echo "$first"; echo "$last"
{{ echo "$a"; echo --; echo "$b"; }} | awk '
  $1 == "--" {{ later = 1; next }}
  !later {{ was[$1 " " $2] = $3; next }}
  NF == 3 {{ k = $1 " " $2; d = $3; if (k in was) d -= was[k]; if (d > 0) print d, $1, $2 }}
' | sort -rn | head -n {HEAVIEST} | while read -r d p s; do
  echo "=== process"; echo "ticks $d"; echo "pid $p"; echo "start $s"
  printf 'name '; clean <"/proc/$p/comm"
  printf 'command '; tr '\\000' '\\n' <"/proc/$p/cmdline" | head -n 1 | clean
  printf 'user '; stat -c %U "/proc/$p" || echo
  printf 'systemd '; sed -n 's/^[0-9]*:name=systemd://p' "/proc/$p/cgroup"; echo
  printf 'unified '; sed -n 's/^0:://p' "/proc/$p/cgroup"; echo
  printf 'still '; of "$p" || echo
done
exit 0
"""
PRESSURE = """
LC_ALL=C; export LC_ALL
echo "=== host"; grep -c '^cpu[0-9]' /proc/stat; cat /proc/loadavg
n=5
while :; do
  echo "=== second"; grep -E '^procs_(running|blocked) ' /proc/stat
  grep -E '^(nr_free_pages|pswpin|pswpout) ' /proc/vmstat 2>/dev/null
  [ "$n" -gt 0 ] || break
  n=$((n - 1)); sleep 1
done
exit 0
"""


@dataclass(frozen=True)
class ProcfsOf:
    """Over whichever transport a host has."""

    hosts: ByName

    def cpu(self, host: str, length: timedelta, every: timedelta) -> CpuUse:
        apart = max(1, round(every.total_seconds()))
        number = max(1, round(length.total_seconds() / apart))
        return parsed_cpu(self._told(host, CPU, (number, apart), timedelta(seconds=number * apart)), host)

    def top(self, host: str, length: timedelta) -> TopProcesses:
        seconds = max(1, round(length.total_seconds()))
        return parsed_top(self._told(host, TOP, (seconds,), timedelta(seconds=seconds)), host)

    def pressure(self, host: str) -> Pressure:
        return parsed_pressure(self._told(host, PRESSURE, (), timedelta(seconds=5)), host)

    def _told(self, host: str, script: str, words: Sequence[int], watched: timedelta) -> str:
        argv = ("sh", "-c", script, "sh", *map(str, words))
        told = self.hosts.get(host).run(argv, within=watched + ASIDE)
        if told.truncated:
            raise Permanent(f"{host}: it told more than can be kept")
        if told.status != 0:
            raise Transient(f"{host}: it could not be watched: {redact_text(told.stderr)[:200]}")
        return told.stdout


def parsed_cpu(text: str, host: str = "") -> CpuUse:
    """Pure. Raises Transient where fewer than two readings came, or the host was booted meanwhile."""
    parts = dict(_parts(text))
    readings = tuple(_ticks(parts.get("cpu", []), host))
    if len(readings) < 2 or any(b.at <= a.at for a, b in pairwise(readings)):
        raise Transient(f"{host}: its CPUs could not be watched")
    told = parts.get("host", [])
    boot = next((int(line.split()[1]) for line in told if line.startswith("btime ")), 0)
    return CpuUse(readings=readings, boot=boot, cpus=_count(told))


def parsed_top(text: str, host: str = "") -> TopProcesses:
    """Pure. A process that is another one by now, or has ended, is left out."""
    parts = list(_parts(text))
    readings = tuple(_ticks(next((lines for head, lines in parts if head == "cpu"), []), host))
    if len(readings) != 2:
        raise Transient(f"{host}: its CPUs could not be watched")
    share, whole = readings[1].since(readings[0]), max(1, readings[1].total - readings[0].total)
    told = [dict(_named(lines)) for head, lines in parts if head == "process"]
    found = [_process(one, whole) for one in told if one.get("still", "").split()[1:2] == [one.get("start")]]
    hidden = any(head == "hidden" for head, _ in parts)
    unread = ("the processes of other users (hidepid)",) if hidden else ()
    units = _by_unit(found)
    names = {unit: tuple(sorted({one.name for one in found if one.unit == unit})) for unit in units}
    return TopProcesses(use=share, processes=tuple(found[:LISTED]), units=units, names=names, unread=unread)


def _by_unit(found: Sequence[ProcessUse]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for one in found:
        if one.unit:
            sums[one.unit] = round(sums.get(one.unit, 0.0) + one.percent, 1)
    return sums


def _process(told: Mapping[str, str], whole: int) -> ProcessUse:
    cgroup = told.get("systemd") or told.get("unified", "")
    return ProcessUse(
        pid=int(told["pid"]), percent=round(int(told["ticks"]) * 100 / whole, 1), name=told.get("name", "")[:64],
        command=told.get("command", ""), user=told.get("user", ""), unit=unit_of(cgroup), pod="kubepods" in cgroup,
        cgroup=cgroup[:200],
    )  # fmt: skip


def parsed_pressure(text: str, host: str = "") -> Pressure:
    """Pure. The first reading is only what the others are counted from. A kernel that counts no swap has none."""
    parts = list(_parts(text))
    seconds = [dict(_named(lines)) for head, lines in parts if head == "second"]
    if len(seconds) < 2 or not all({"procs_running", "nr_free_pages"} <= set(one) for one in seconds):
        raise Transient(f"{host}: it did not tell of its run queue and its swap")
    swaps = [(int(one.get("pswpin", 0)), int(one.get("pswpout", 0))) for one in seconds]
    pairs = list(pairwise(swaps))
    told = next((lines for head, lines in parts if head == "host"), [])
    return Pressure(
        running=tuple(int(one["procs_running"]) for one in seconds[1:]),
        blocked=tuple(int(one.get("procs_blocked", 0)) for one in seconds[1:]),
        swapped_in=tuple(max(0, b[0] - a[0]) for a, b in pairs),
        swapped_out=tuple(max(0, b[1] - a[1]) for a, b in pairs),
        load=tuple(float(one) for one in (told[1].split()[:3] if len(told) > 1 else [])), cpus=_count(told),
    )  # fmt: skip


def _ticks(lines: Sequence[str], host: str) -> Iterator[CpuTicks]:
    """`UPTIME cpu USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL …`; guests are counted in user and nice already."""
    for line in lines:
        up, name, *counts = [*line.split(), "", ""]
        ticks = [int(one) for one in counts[:8] if one.isdigit()]
        if name != "cpu" or len(ticks) < 4:
            raise Transient(f"{host}: its CPUs could not be watched")
        ticks += [0] * (8 - len(ticks))
        yield CpuTicks(at=float(up), total=sum(ticks), idle=ticks[3], iowait=ticks[4], steal=ticks[7])


def _count(told: Sequence[str]) -> int:
    return int(told[0]) if told and told[0].isdigit() and int(told[0]) else 1


def _named(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What is made printable ends with a ? in place of its line end."""
    for line in lines:
        name, _, value = line.partition(" ")
        yield name, value.removesuffix("?") if name in ("name", "command") else value.strip()


def _parts(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in HEADING.split(text)[1:]:
        head, *lines = part.split("\n")
        yield head.strip(), [line for line in lines if line.strip()]
