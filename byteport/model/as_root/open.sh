# Open, mapped into memory, running or stood in, or what a loop device stands on: device and inode, on one line. Nothing
# at all is no answer, nor is what was cut short: a process may have something open on a mount that hangs.
open=$({ timeout -s KILL 8 find /proc/[0-9]*/fd /proc/[0-9]*/map_files /proc/[0-9]*/exe /proc/[0-9]*/cwd -type l
-exec stat -L -c %d:%i {} + 2>/dev/null; [ $? -lt 124 ] && echo whole;
for at in /sys/block/loop*/loop/backing_file; do [ -e "$at" ] && timeout -s KILL 2 stat -c %d:%i "$(cat "$at")"; done 2>/dev/null; } |
sort -u);
case $open in *:*whole*) ;; *) echo 'it cannot be told what is open' >&2; exit 4;; esac;
