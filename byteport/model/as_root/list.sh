# Candidates of one kind below a root, none younger than so many minutes by any of its three times, none with a second
# name, none that is open, none of what is kept; the largest first. Of each its id, and from the seventh field on its path.
what=$1 root=$2 age=$3;
now=$(date +%s);
@open
@kept
skip=;
for at in $kept; do skip="$skip -path $at -prune -o"; done;
case $what in
rotated) set -- '(' -name '*.gz' -o -name '*.bz2' -o -name '*.xz' -o -name '*.zst' ')';;
aged) set -- '(' -name '*.[0-9]' -o -name '*.[0-9][0-9]'
-o -name '*.log-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]' ')';;
big) set -- -size +204800 ! -name '*.gz' ! -name '*.bz2' ! -name '*.xz' ! -name '*.zst';;
*) set --;;
esac;
{ echo "$open";
timeout 15 find "$root" -xdev $skip -path '*[[:cntrl:]]*' -prune -o -type f "$@"
-exec stat -c '%d:%i:%s:%Y:%Z %h %b %X %Y %Z %n' {} + 2>/dev/null || echo cut short; } |
awk -v n="$now" -v m="$age" '
NF==1 {o[$1]=1; next}
NF==2 {print "cut 0 -1"; next}
$2==1 && n-$4>m*60 && n-$5>m*60 && n-$6>m*60 {split($1, a, ":"); if (!((a[1] ":" a[2]) in o)) print}' |
sort -k3,3nr |
awk '$1=="cut" {u=1; next}
{c++; b+=$3; s+=length($0)+1; if (c<=@most && s<180000) print}
END {print "total", c+0, sprintf("%.0f", b*512), u+0}'
