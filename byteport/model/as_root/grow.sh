# Let a file system have what its disk has gained: the last partition first, where there is one. Anything but a whole
# disk or its last partition, with ext or xfs on it, is left to people.
at=$1;
found=$(awk -v m="$at" '$5==m {d=$3; for (i=7; i<NF; i++) if ($i=="-") k=$(i+1)} END {print d, k}' /proc/self/mountinfo);
number=${found% *} kind=${found#* };
node=$(readlink -f "/sys/dev/block/$number");
name=${node##*/};
case $name in dm-*|md*|'') echo "$at is not on a plain disk" >&2; exit 5;; esac;
case $kind in ext2|ext3|ext4|xfs) ;; *) echo "$kind is not grown" >&2; exit 5;; esac;
if [ -e "$node/partition" ]; then
disk=${node%/*};
ours=$(cat "$node/start");
for other in "$disk"/*/start; do
[ "$(cat "$other")" -le "$ours" ] || { echo "$name is not the last partition" >&2; exit 5; };
done;
growpart "/dev/${disk##*/}" "$(cat "$node/partition")" || [ $? = 1 ] || exit 6;
fi;
case $kind in xfs) xfs_growfs "$at";; *) resize2fs "/dev/$name";; esac
