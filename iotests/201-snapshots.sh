#!/usr/bin/env bash
# title: internal snapshots
# breaks: a snapshot is lost, restored wrongly, deleted with its data still counted, or found under another's name
# groups: snapshot check info
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "none yet"
quiet img create -f qcow2 "$IMAGE" 1M
img snapshot -l "$IMAGE"
quiet io -f qcow2 -c 'write -P 1 0 512k' "$IMAGE"

say "create and list"
img snapshot -c first "$IMAGE"
quiet io -f qcow2 -c 'write -P 2 100k 300k' "$IMAGE"
img snapshot -c 'a name with blanks' "$IMAGE"
quiet io -f qcow2 -c 'write -P 3 0 64k' -c 'write -P 3 768k 64k' -c 'write -z 512k 64k' "$IMAGE"
img snapshot -c third "$IMAGE"
img snapshot -l "$IMAGE"
img snapshot "$IMAGE"
img info "$IMAGE" | grep -A 8 'Snapshot list'
img check -f qcow2 "$IMAGE"

say "read each without applying it"
for name in first 'a name with blanks' third; do
    img convert -f qcow2 -O raw -l "$name" "$IMAGE" out.raw
    io -f raw -c 'read -P 1 0 64k' -c 'read -P 2 128k 256k' -c 'read -P 3 0 64k' -c 'read -P 0 832k 192k' out.raw
done
img convert -f qcow2 -O raw -l snapshot.name=first "$IMAGE" out.raw
img convert -f qcow2 -O raw -l snapshot.id=2 "$IMAGE" out2.raw
img convert -f qcow2 -O raw -l 2 "$IMAGE" out3.raw
same_bytes out2.raw out3.raw
img convert -f qcow2 -O raw -l missing "$IMAGE" out.raw
img convert -f qcow2 -O raw -l snapshot.id=9 "$IMAGE" out.raw
img convert -f qcow2 -O raw -l snapshot.nonsense=1 "$IMAGE" out.raw

say "apply by name and by number"
img snapshot -a first "$IMAGE"
io -f qcow2 -c 'read -P 1 0 512k' -c 'read -P 0 512k 512k' "$IMAGE"
img snapshot -a 2 "$IMAGE"
io -f qcow2 -c 'read -P 1 0 100k' -c 'read -P 2 100k 300k' -c 'read -P 1 400k 112k' "$IMAGE"
quiet io -f qcow2 -c 'write -P 9 0 1M' "$IMAGE"
img snapshot -a third "$IMAGE"
io -f qcow2 -c 'read -P 3 0 64k' -c 'read -P 1 64k 36k' -c 'read -P 2 100k 300k' -c 'read -P 3 768k 64k' "$IMAGE"
img check -f qcow2 "$IMAGE"

say "delete from the middle, then all"
img snapshot -d 'a name with blanks' "$IMAGE"
img snapshot -l "$IMAGE"
img check -f qcow2 "$IMAGE"
img snapshot -c fourth "$IMAGE"
img snapshot -l "$IMAGE"
for name in first third fourth; do
    img snapshot -d "$name" "$IMAGE"
done
img snapshot -l "$IMAGE"
img check -f qcow2 "$IMAGE"
io -f qcow2 -c 'read -P 3 0 64k' -c 'read -P 1 64k 36k' -c 'read -P 2 100k 300k' "$IMAGE"

say "what can't be"
img snapshot -a missing "$IMAGE"
img snapshot -d missing "$IMAGE"
img snapshot -c twice "$IMAGE"
img snapshot -c twice "$IMAGE"
img snapshot -l "$IMAGE"
img snapshot -d twice "$IMAGE"
img snapshot -l "$IMAGE"
img snapshot -c "$(printf 'n%.0s' {1..300})" "$IMAGE" | sed 's/n\{50,\}/NNN/g'
img snapshot -c '' "$IMAGE"
img snapshot -c 1 "$IMAGE"
img snapshot -l "$IMAGE" | sed 's/n\{50,\}/NNN/g'
img snapshot -c one -a one "$IMAGE"
img snapshot -l
img snapshot -c one
img snapshot -c one missing
quiet img create -f raw plain.raw 64k
img snapshot -c one -f raw plain.raw
img snapshot -c one plain.raw
img snapshot -l plain.raw

say "a size that changed in between"
quiet img create -f qcow2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 1M' "$IMAGE"
quiet img snapshot -c small "$IMAGE"
img resize -f qcow2 "$IMAGE" 2M
io -f qcow2 -c 'write -P 2 1M 1M' "$IMAGE"
img snapshot -a small "$IMAGE"
io -f qcow2 -c length -c 'read -P 1 0 1M' "$IMAGE"
img check -f qcow2 "$IMAGE"
