#!/usr/bin/env bash
# title: persistent dirty bitmaps
# breaks: an incremental backup misses what was written, or a bitmap is lost or can't be managed
# groups: bitmap
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# Where bitmaps record something shows in the clusters that they take.
state() {
    img info -f qcow2 "$1" | sed -n '/bitmaps:/,/refcount bits/p'
    img check -f qcow2 "$1"
}

say "add, in every way"
quiet img create -f qcow2 "$IMAGE" 10M
img bitmap --add "$IMAGE" b0
img bitmap --add -g 512 "$IMAGE" b1
img bitmap --add --disable -f qcow2 "$IMAGE" b2
state "$IMAGE"
for granularity in 100 256 4G nonsense; do
    img bitmap --add -g "$granularity" "$IMAGE" wrong
done
img bitmap --add "$IMAGE" b0
img bitmap --add "$IMAGE" ""

say "writes are recorded"
io_commands "$IMAGE" 'write 0 64k' 'write -z 1M 64k' 'discard 2M 64k' 'write 9M 1'
state "$IMAGE"

say "several actions in order"
img bitmap --clear --disable "$IMAGE" b0
img bitmap --merge b1 --enable "$IMAGE" b2
img bitmap --add --remove --add "$IMAGE" b3
state "$IMAGE"
img info --output=json -f qcow2 "$IMAGE"
img measure -O qcow2 "$IMAGE"
img measure -O qcow2 --output=json "$IMAGE"

say "wrong ways"
for action in --remove --clear --enable --disable '--merge b0'; do
    # shellcheck disable=SC2086
    img bitmap $action "$IMAGE" missing
done
img bitmap --merge missing "$IMAGE" b0
img bitmap --add --merge missing "$IMAGE" b4
img bitmap "$IMAGE" b0
img bitmap --clear "$IMAGE"
img bitmap --clear -g 512 "$IMAGE" b0
img bitmap --clear -b "$IMAGE" "$IMAGE" b0
img bitmap --merge b0 -F raw "$IMAGE" b0

say "formats without"
quiet img create -f raw plain 1M
img bitmap --add -f raw plain b
img bitmap --clear -f raw plain b
quiet img create -f qcow2 -o compat=0.10 old 1M
img bitmap --add old b

say "from another image"
quiet img create -f qcow2 other 10M
img bitmap --merge b1 -b "$IMAGE" -F qcow2 other c
img bitmap --add --merge b1 -b "$IMAGE" -F qcow2 other c
img bitmap --merge b -b plain -F raw other c
quiet img create -f qcow2 longer 20M
img bitmap --add --merge b1 -b "$IMAGE" -F qcow2 longer c
state other

say "resized"
img resize "$IMAGE" 40M
state "$IMAGE"
img resize --shrink "$IMAGE" 1M
state "$IMAGE"

say "removed"
for name in b0 b1 b2 b3 b4; do
    img bitmap --remove "$IMAGE" "$name"
done
state "$IMAGE"
