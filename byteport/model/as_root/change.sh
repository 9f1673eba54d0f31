# On its input what was listed, `ID PATH/`. Temporary files and compressed logs are removed, other logs are compressed;
# `check` changes nothing and says which are still there. Each is answered for by a word. Whoever may run this is not
# trusted with the list: every file is judged again, and found from inside its own folder, so that no link that was put
# in its way leads anywhere else.
say() { printf %s "$*"; echo; };
verb=$1 what=$2 root=$3 age=$4;
now=$(date +%s);
until=$((now+480));
dev=$(stat -c %d "$root");
@open
@kept
open=" $(echo $open) ";
# Of gzip's two makes, one follows a link that replaces the file meanwhile, and leaves a half where it is ended. No manager
# of an ordinary user's can end what runs as root, so that it ends by itself. Of large files text alone is compressed.
case $(gzip --help 2>&1) in *BusyBox*) follows=1;; *) follows=;; esac;
while IFS= read -r line; do
id=${line%% *} path=${line#* };
path=${path%/};
folder=${path%/*} name=${path##*/};
case $path in *[[:cntrl:]]*|*//*|*/./*|*/../*|*/..) continue;; "$root"/*) ;; *) continue;; esac;
case $path in
/var/log/audit/*|/var/log/journal/*|/var/log/pods/*|/var/log/containers/*|*/systemd-private-*|*/snap-private-tmp/*|
*/lastlog|*/wtmp|*/btmp|*/audit.log|*/access.log|*/error.log|*/auth.log) say "kept $path"; continue;;
esac;
for at in $kept; do case $path in $at|$at/*) say "kept $path"; continue 2;; esac; done;
case $what:$name in
big:*.gz|big:*.bz2|big:*.xz|big:*.zst) say "kept $path"; continue;;
tmp:*|rotated:*.gz|rotated:*.bz2|rotated:*.xz|rotated:*.zst|aged:*.[0-9]|aged:*.[0-9][0-9]|
aged:*.log-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]|big:*) ;;
*) say "kept $path"; continue;;
esac;
cd -P -- "$folder" 2>/dev/null && [ "$(pwd -P)" = "$folder" ] || { say "gone $path"; continue; };
is=$(stat -c '%d:%i:%s:%Y:%Z %h %X %Y %Z %b %F' "./$name" 2>/dev/null) || { say "gone $path"; continue; };
set -- $is;
[ "$1" = "$id" ] && [ "$2 $7" = '1 regular' ] && [ "${1%%:*}" = "$dev" ] || { say "changed $path"; continue; };
if [ "$verb" = check ]; then say "there $path"; continue; fi;
[ $((now-$3)) -gt $((age*60)) ] && [ $((now-$4)) -gt $((age*60)) ] && [ $((now-$5)) -gt $((age*60)) ] ||
{ say "young $path"; continue; };
node=${1#*:} blocks=$6;
case $open in *" $dev:${node%%:*} "*) say "open $path"; continue;; esac;
size=${node#*:};
size=${size%%:*};
case $what in
tmp|rotated) rm -f -- "./$name" && say "done $blocks $path" || say "failed $path"; continue;;
big) [ "$size" -gt 104857600 ] && [ "$(head -c 4096 "./$name" | tr -d '\000' | wc -c)" -eq 4096 ] ||
{ say "kept $path"; continue; };;
esac;
case $follows$(stat -c '%u %a' .) in
1[!0]*|10[0-9]*|1*[2367]|1*[2367]?|*[2367]) say "unsafe $path"; continue;;
esac;
set -- $(stat -f -c '%a %S' .);
[ $(($1*$2)) -gt "$size" ] || { say "crowded $path"; continue; };
[ -e "./$name.gz" ] && { say "kept $path"; continue; };
left=$((until-$(date +%s)));
[ $left -gt 0 ] || { say "late $path"; continue; };
if timeout $left gzip "./$name" </dev/null 2>/dev/null; then say "done $((blocks-$(stat -c %b "./$name.gz"))) $path";
else
[ -n "$follows" ] && rm -f -- "./$name.gz";
say "failed $path";
fi;
done
