# Not every busybox knows classes of characters.
# Regular files that have no name any more and are still open: blocks, device and inode, process, its name, what it was;
# not those that never had one and lie in memory.
timeout 12 find /proc/[0-9]*/fd -type l -exec stat -L -c '%h %b %d:%i %n %F' {} + 2>/dev/null |
awk '$1==0 && $2>0 && $5=="regular" && !($3 in s) {s[$3]=1; print}' |
sort -k2,2nr |
head -n 200 |
while read -r links blocks id link kind; do
pid=${link#/proc/};
pid=${pid%%/*};
at=$(readlink "$link" | tr -dc ' -~');
case $at in /memfd:*) ;; *) echo "$blocks $id $pid $(tr -dc '!-~' </proc/$pid/comm) $at";; esac;
done |
head -n 50
