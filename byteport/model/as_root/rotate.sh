# The entries of logrotate whose logs all lie on the file system of /var/log, with what logrotate.conf says for all.
dev=$(stat -c %d /var/log);
chosen=$(mktemp) || exit 1;
trap 'rm -f "$chosen"' EXIT;
grep -v '^ *include' /etc/logrotate.conf >"$chosen";
for entry in /etc/logrotate.d/*; do
[ -f "$entry" ] || continue;
there= elsewhere=;
for log in $(awk '{l=$0; sub(/[{].*/, "", l); gsub(/"/, "", l); if (!d && l !~ /^ *#/) print l;
if ($0 ~ /[{]/) d=1; if ($0 ~ /[}]/) d=0}' "$entry"); do
[ -e "$log" ] || continue;
if [ "$(stat -L -c %d "$log")" = "$dev" ]; then there=1; else elsewhere=1; fi;
done;
[ "$there/$elsewhere" = 1/ ] && echo "include $entry" >>"$chosen";
done;
state=/var/lib/logrotate/status;
[ -e /var/lib/logrotate/logrotate.status ] && state=/var/lib/logrotate/logrotate.status;
force=;
[ "$1" = force ] && force=--force;
logrotate $force -s "$state" "$chosen"
