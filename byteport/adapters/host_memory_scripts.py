"""What is run on a host to ask about memory: POSIX shell, and what Debian, RHEL and busybox have in common.

Each reads /proc and /sys with a handful of processes, however many the host has: what is run on a host that is out of
memory must itself need none.
"""

from __future__ import annotations

import shlex

from byteport.model.privileged import OPEN_FILES

MEMINFO = """
grep -E '^(MemTotal|MemAvailable|MemFree|Buffers|Cached|SwapTotal|SwapFree):' /proc/meminfo
grep -E '^(oom_kill|pgmajfault) ' /proc/vmstat
exit 0
"""
STALL = """
cat /proc/pressure/memory 2>/dev/null
exit 0
"""
# A line for each process: kind, rss, shared, swap (kB), pid, parent, user, threads, major faults, started (ticks),
# group, name. What a process calls itself comes last, for it may hold anything.
PROCESSES = """
cut -d' ' -f1 /proc/uptime; getconf CLK_TCK 2>/dev/null || echo 100
{ grep -H -E '^0::|^[0-9]+:name=systemd:' /proc/[0-9]*/cgroup
  grep -H . /proc/[0-9]*/stat
  cat /proc/[0-9]*/status; } 2>/dev/null | awk '
/^\\/proc\\/[0-9]+\\/cgroup:/ {
  split($0, at, "/"); path = $0; sub(/^[^:]*:[^:]*:[^:]*:/, "", path)
  if (path != "/" || !(at[3] in group)) group[at[3]] = path
  next }
/^\\/proc\\/[0-9]+\\/stat:/ {
  split($0, at, "/"); line = $0; sub(/^.*\\) /, "", line); split(line, told, " ")
  faults[at[3]] = told[10]; began[at[3]] = told[20]
  next }
/^Name:/ { name = substr($0, 7); rss = shared = swap = 0; next }
/^Pid:/ { pid = $2; next }
/^PPid:/ { parent = $2; next }
/^Uid:/ { user = $2; next }
/^VmRSS:/ { rss = $2; next }
/^RssShmem:/ { shared = $2; next }
/^VmSwap:/ { swap = $2; next }
/^Threads:/ {
  if (!rss || !(pid in began)) next
  gsub(/ /, "?", group[pid]); own = group[pid] == "" ? "/" : group[pid]
  print "p", rss, shared, swap, pid, parent, user, $2, faults[pid], began[pid], own, name
}' | sort -k2,2nr
"""
# All services' own control groups, in one go.
GROUPS = """
for m in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/memory; do
  for s in "$m"/*.slice "$m"/*.slice/*.slice; do
    [ -d "$s" ] && grep -sH -E '^([0-9]+|max)$|^(inactive_file|total_inactive_file|anon|total_rss|oom_kill) ' \
      "$s"/*.service/memory.current "$s"/*.service/memory.max "$s"/*.service/memory.events "$s"/*.service/memory.stat \
      "$s"/*.service/memory.usage_in_bytes "$s"/*.service/memory.limit_in_bytes "$s"/*.service/memory.oom_control
  done
done
exit 0
"""
# $1: its name as a part of a path, $2: the same as a pattern, $3: a pattern for the lines of its processes. The first
# of them says where it is; the way up has the limits.
GROUP = """
p=$(grep -lE -- "$3" /proc/[0-9]*/cgroup 2>/dev/null | head -n 1); p=${p%/cgroup}; [ -n "$p" ] || exit 3
own() {
  w=$(sed -n "s|^$1:\\(.*/$2\\)\\(/.*\\)\\{0,1\\}\\$|\\1|p" "$p/cgroup" | head -n 1)
  case "$w" in */"$n") echo "$w";; esac
}
n="$1"; v2=$(own '0:' "$2"); v1=$(own '[0-9]*:[^:]*memory[^:]*' "$2")
told() {
  echo "version $1"; echo "path $2"; echo "current $(cat "$3/$4")"
  sed 's/^/stat /' "$3/memory.stat"; sed 's/^/events /' "$3/$5" 2>/dev/null
  echo "pids" $(cat "$3/cgroup.procs" "$3"/*/cgroup.procs 2>/dev/null)
  d="$3"; while [ "$d" != "$m" ]; do echo "limit $(cat "$d/$6" 2>/dev/null)"; d=${d%/*}; done
  exit 0
}
for m in /sys/fs/cgroup /sys/fs/cgroup/unified; do
  [ -n "$v2" ] && [ -r "$m$v2/memory.current" ] && told 2 "$v2" "$m$v2" memory.current memory.events memory.max
done
m=/sys/fs/cgroup/memory
[ -n "$v1" ] && [ -r "$m$v1/memory.usage_in_bytes" ] || exit 4
told 1 "$v1" "$m$v1" memory.usage_in_bytes memory.oom_control memory.limit_in_bytes
"""
# By sudo those of everybody are seen; without it those of the own user's, and what newer kernels tell of their number.
# A line for each process: pid, files, sockets.
OPEN = f"""
echo "in_use" $(sed -n 's/^sockets: used //p' /proc/net/sockstat 2>/dev/null)
counted() {{
  awk '{{ n[$1]++; if ($2 ~ /^socket:/) s[$1]++ }}
    END {{ for (p in n) {{ split(p, at, "/"); print at[3], n[p], s[p] + 0 }} }}'
}}
t=$(sudo -n {shlex.join(OPEN_FILES)} 2>/dev/null | counted); [ -n "$t" ] && {{ echo "$t"; exit 0; }}
[ "$(id -u)" = 0 ] || echo "lacks rights"
t=$({shlex.join(OPEN_FILES)} 2>/dev/null | counted)
[ -n "$t" ] && echo "$t" || for f in /proc/[0-9]*/fd; do
  p=${{f#/proc/}}; p=${{p%/fd}}
  [ -r "$f" ] && l=$(ls -l "$f" 2>/dev/null) && [ -n "$l" ] &&
    echo "$p $(echo "$l" | grep -c -- '->') $(echo "$l" | grep -c 'socket:')"
done
stat -c '%n %s' /proc/[0-9]*/fd 2>/dev/null | sed -n 's|^/proc/\\([0-9]*\\)/fd \\([1-9][0-9]*\\)$|\\1 \\2 -|p'
exit 0
"""
# Both in one command: each costs two round trips. What is small comes first, so that nothing of it is cut off.
AUDIT = f"""
({OPEN})
echo "=== processes"
{PROCESSES}
"""
# The ring of the kernel wraps, and most systems show it to few: what stands there supports, and decides nothing.
KERNEL = """
t=$(journalctl -k -q --no-pager -o short-iso --since -2h 2>/dev/null) && [ -n "$t" ] || t=$(dmesg 2>/dev/null) || exit 3
[ -n "$t" ] || exit 3
echo "$t" | grep -iE 'out of memory|oom-kill|killed process' | tail -n 20
exit 0
"""
