# The entries of logrotate whose logs all lie on the file system of /var/log, with what logrotate.conf says for all: without
# that part logs would be removed in place of being rotated. The chosen ones are given as a folder, since logrotate passes
# over entries that somebody has put out of use only there; and in /run, since the disk may be full.
dev=$(stat -c %d /var/log);
at=$(mktemp -d /run/byteport.XXXXXX) || exit 1;
trap 'rm -rf "$at"' EXIT;
mkdir "$at/entries" || exit 1;
grep -v '^[[:space:]]*include' /etc/logrotate.conf >"$at/conf" || exit 1;
echo "include $at/entries" >>"$at/conf" || exit 1;
for entry in /etc/logrotate.d/*; do
[ -f "$entry" ] || continue;
there= elsewhere=;
for log in $(awk '{l=$0; sub(/[{].*/, "", l); gsub(/"/, "", l); if (!d && l !~ /^ *#/) print l;
if ($0 ~ /[{]/) d=1; if ($0 ~ /[}]/) d=0}' "$entry"); do
[ -e "$log" ] || continue;
if [ "$(stat -L -c %d "$log")" = "$dev" ]; then there=1; else elsewhere=1; fi;
done;
[ "$there/$elsewhere" = 1/ ] && ln -s "$entry" "$at/entries/";
done;
state=/var/lib/logrotate/status;
[ -e /var/lib/logrotate/logrotate.status ] && state=/var/lib/logrotate/logrotate.status;
force=;
[ "$1" = force ] && force=--force;
logrotate $force -s "$state" "$at/conf"
