# Open, mapped into memory, running or stood in: device and inode, on one line. Nothing at all is no answer.
open=$(find /proc/[0-9]*/fd /proc/[0-9]*/map_files /proc/[0-9]*/exe /proc/[0-9]*/cwd -type l
-exec stat -L -c %d:%i {} + 2>/dev/null | sort -u);
[ -n "$open" ] || { echo 'it cannot be told what is open' >&2; exit 4; };
