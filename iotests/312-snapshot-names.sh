#!/usr/bin/env bash
# title: names and ids of snapshots
# breaks: the wrong snapshot is applied or deleted
# groups: snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
count=0
for name in 1 2 one 1 'with space' '' 3 10 007 "$(printf 'x%.0s' {1..300})"; do
    count=$((count + 1))
    quiet io -f qcow2 -c "write -P $count 0 64k" "$IMAGE"
    img snapshot -c "$name" "$IMAGE"
done
img snapshot -l "$IMAGE"
for name in 1 2 3 one 4 10 07 'with space' ''; do
    img snapshot -a "$name" "$IMAGE"
    io_commands "$IMAGE" 'read -v 0 16'
done
img info --output=json "$IMAGE"
for name in 1 3 one 1 '' 4 missing 9; do
    img snapshot -d "$name" "$IMAGE"
    img snapshot -l "$IMAGE"
done
img snapshot -c again "$IMAGE"
img snapshot -l "$IMAGE"
img check "$IMAGE"

say "wrong ways"
img snapshot "$IMAGE"
img snapshot -l -c x "$IMAGE"
img snapshot -c "$IMAGE"
img snapshot -l missing
img snapshot -l
img snapshot -q -l "$IMAGE"
img snapshot -a x -d y "$IMAGE"
img snapshot -U -c x "$IMAGE"
img snapshot -U -l "$IMAGE"
make plain 1M -o compat=0.10
img snapshot -l plain
quiet img create -f raw raw 1M
img snapshot -l -f raw raw
img snapshot -l raw
img snapshot -c x raw
img snapshot -c x --image-opts driver=raw,file.filename=raw
img convert -l missing -O raw "$IMAGE" out
img convert -l snapshot.id=77 -O raw "$IMAGE" out
img convert -l snapshot.name= -O raw "$IMAGE" out
img convert -l 8 -O raw "$IMAGE" out
