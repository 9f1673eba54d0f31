"""The runtime of a service's largest process: the heap that its command line and environment allow, which signals it
catches, and what is free where dumps are kept. Of the command line and the environment only that is kept.

Sources: java(1) (-Xmx, -XX:MaxHeapSize, JAVA_TOOL_OPTIONS, which the command line overrides), node(1)
(--max-old-space-size in MiB, NODE_OPTIONS, --heapsnapshot-signal), proc(5) (SigCgt).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from byteport.adapters.transport import ByName
from byteport.errors import Permanent, Transient
from byteport.model.facts.processes import lines_in
from byteport.model.facts.runtimes import HeapInfo, RuntimeHints

NAME = re.compile(r"[A-Za-z0-9_.@:-]{1,200}")
NO_SUCH, USR2 = 3, 12
KEPT = "^(JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS|NODE_OPTIONS)="
FIND = """
big=0; p=
for c in $(grep -lE -- "$1" /proc/[0-9]*/cgroup 2>/dev/null); do
  d=${c%/cgroup}; r=$(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' "$d/status" 2>/dev/null)
  [ "${r:-0}" -gt "$big" ] && { big=$r; p=${d#/proc/}; }
done
[ -n "$p" ] || exit 3
"""
RUNTIME = f"""{FIND}
echo "pid $p"; grep '^SigCgt:' "/proc/$p/status"
tr '\\000\\n' '\\n ' <"/proc/$p/cmdline" |
  grep -nE '^-(Xmx|XX:MaxHeapSize=|-max.old.space.size|-heapsnapshot.signal)|^[^-]' | head -n 200 | sed 's/^/argv /'
if [ -r "/proc/$p/environ" ]; then tr '\\000\\n' '\\n ' <"/proc/$p/environ" | grep -E '{KEPT}' | sed 's/^/env /'
else echo "unread"; systemctl show --property=Environment -- "$2" 2>/dev/null | sed 's/^Environment=//' |
  tr ' ' '\\n' | grep -E '{KEPT}' | sed 's/^/env /'; fi
[ -z "$3" ] || df -Pk -- "$3" 2>/dev/null | sed -n '2s/^.* \\([0-9]*\\) *[0-9]*% .*$/free \\1/p'
exit 0
"""
# jcmd sends SIGQUIT to whatever it is pointed at, which ends what does not catch it: it is asked only of what has a
# JVM's library mapped, which also only its own user and root can see, and catches that signal.
HEAP = f"""{FIND}
grep -q 'libjvm[.]so' "/proc/$p/maps" 2>/dev/null || exit 4
case $(sed -n 's/^SigCgt:.*\\(.\\)$/\\1/p' "/proc/$p/status") in [4567cdef]) ;; *) exit 4 ;; esac
command -v jcmd >/dev/null 2>&1 || exit 4
timeout 5 jcmd "$p" GC.heap_info 2>/dev/null || exit 4
"""
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
JVM_HEAP = re.compile(r"-(?:Xmx|XX:MaxHeapSize=)(\d+)([kmgtKMGT]?)(?=\s|$|\")")
NODE_HEAP = re.compile(r"--max[-_]old[-_]space[-_]size[= ](\d+)")
SNAPSHOT = re.compile(r"--heapsnapshot[-_]signal[= ]SIGUSR2")


@dataclass(frozen=True)
class HostRuntimes:
    """Over whichever transport a host has."""

    hosts: ByName

    def runtime(self, host: str, name: str, dump_folder: str) -> RuntimeHints | None:
        """None where nothing of that name runs. Raises Transient, Denied or Permanent."""
        told = self._told(host, RUNTIME, name, dump_folder)
        return None if told is None else hints(told)

    def heap(self, host: str, name: str) -> HeapInfo | None:
        """None where it is no JVM, or this user may not ask it."""
        told = self._told(host, HEAP, name)
        return None if told is None else heap_info(told)

    def _told(self, host: str, script: str, name: str, *more: str) -> str | None:
        if not NAME.fullmatch(name):
            raise Permanent(f"{name!r} is no name of a service or a control group")
        words = ("sh", "-c", script, "sh", lines_in(name), name, *more)
        told = self.hosts.get(host).run(words, within=timedelta(seconds=8))
        if told.status in (NO_SUCH, 4):
            return None
        if told.status != 0:
            raise Transient(f"{host}: the runtime of {name} could not be looked at")
        return told.stdout


def hints(text: str) -> RuntimeHints:
    """Pure."""
    lines = text.splitlines()
    argv = [line.split(":", 1)[1] for line in lines if line.startswith("argv ") and ":" in line]
    environment = [line.removeprefix("env ").partition("=")[::2] for line in lines if line.startswith("env ")]
    pid = next((int(line[4:]) for line in lines if line.startswith("pid ")), 0)
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    free = next((int(line[5:]) * 1024 for line in lines if line.startswith("free ")), None)
    lacks = ("the process's environment needs its user or root",) if "unread" in lines else ()
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    if re.fullmatch(r"java\d*", program):
        heap, source = _last(JVM_HEAP, [(n, v) for n, v in environment if n != "NODE_OPTIONS"], argv)
        return RuntimeHints(kind="jvm", pid=pid, heap=heap, source=source, dump_free=free, lacks=lacks)
    if program in ("node", "nodejs"):
        options = [(n, v) for n, v in environment if n == "NODE_OPTIONS"]
        heap, source = _last(NODE_HEAP, options, argv)
        asked = any(SNAPSHOT.search(word) for word in (*argv, *(value for _, value in options)))
        catches = bool(caught >> (USR2 - 1) & 1)
        snapshots = asked and catches
        return RuntimeHints(
            kind="node", pid=pid, heap=heap, source=source, snapshots=snapshots, dump_free=free, lacks=lacks
        )
    return RuntimeHints(kind="other", pid=pid, dump_free=free, lacks=lacks)


def _last(size: re.Pattern[str], environment: Sequence[tuple[str, str]], argv: Sequence[str]) -> tuple[int | None, str]:
    """The one that holds: the command line comes after the environment, and the last of each counts."""
    found: tuple[int | None, str] = (None, "")
    for where, text in (*environment, *(("the command line", word) for word in argv)):
        for match in size.finditer(text):
            unit = SIZES[match[2].lower()] if size is JVM_HEAP else SIZES["m"]
            found = int(match[1]) * unit, f"{match[0]} of {where}"
    return found


def heap_info(text: str) -> HeapInfo | None:
    """Pure. `used` over all generations, as GC.heap_info lists them."""
    rows = re.findall(r"(?:heap|generation|PSYoungGen|ParOldGen)\s+total (\d+)K, used (\d+)K", text)
    if rows:
        return HeapInfo(used=sum(int(used) for _, used in rows) * 1024, committed=sum(int(t) for t, _ in rows) * 1024)
    z = re.search(r"used (\d+)M, capacity (\d+)M", text)
    return HeapInfo(used=int(z[1]) << 20, committed=int(z[2]) << 20) if z else None
