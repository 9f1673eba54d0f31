# What is not this sweep's, as patterns: what is mounted below the root, which may well have its device number, and what
# tmpfiles.d leaves out. What mountinfo writes in octal, and what means something to tmpfiles.d alone, may be anything.
[ -r /proc/self/mountinfo ] || { echo 'it cannot be told what is mounted' >&2; exit 4; };
kept=$({ awk '{gsub(/[[*]/, "?", $5); gsub(/\\[0-7][0-7][0-7]/, "?", $5); print "m", $5}' /proc/self/mountinfo;
cat /usr/lib/tmpfiles.d/*.conf /usr/local/lib/tmpfiles.d/*.conf /run/tmpfiles.d/*.conf /etc/tmpfiles.d/*.conf 2>/dev/null; } |
awk -v r="$root/" '$1 !~ /^[mxX]/ {next}
$1!="m" {q=sub(/^["\047]/, "", $2); gsub(/["\047]/, "", $2); gsub(/%./, "*", $2); gsub(/\[[^]]*\]?|\\./, "*", $2); if (q) $2=$2 "*"}
index($2, r)==1 {print $2}');
set -f;
