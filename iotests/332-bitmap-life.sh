#!/usr/bin/env bash
# title: bitmaps through everything
# breaks: an incremental backup misses blocks after an ordinary operation
# groups: bitmap resize snapshot commit rebase convert
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

state() {
    img info "$1" | sed -n '/bitmaps:/,/refcount bits/p'
    img check "$1"
    layout "$1"
}
fresh() {
    rm -f "$IMAGE" base
    make base 2M
    make "$IMAGE" 2M -b base -F qcow2
    quiet io -f qcow2 -c 'write -P 1 0 1M' base
    quiet img bitmap --add -g 4k "$IMAGE" fine
    quiet img bitmap --add "$IMAGE" coarse
    quiet img bitmap --add --disable "$IMAGE" off
    quiet io -f qcow2 -c 'write -P 2 64k 64k' "$IMAGE"
}
fresh
state "$IMAGE"
say "snapshots"
img snapshot -c s "$IMAGE"
state "$IMAGE"
quiet io -f qcow2 -c 'write -P 3 512k 64k' "$IMAGE"
img snapshot -a s "$IMAGE"
state "$IMAGE"
img snapshot -d s "$IMAGE"
state "$IMAGE"
say "commit"
img commit "$IMAGE"
state "$IMAGE"
say "rebase"
img rebase -b '' "$IMAGE"
state "$IMAGE"
img rebase -u -b base -F qcow2 "$IMAGE"
state "$IMAGE"
say "amend"
img amend -o refcount_bits=8 "$IMAGE"
state "$IMAGE"
img amend -o lazy_refcounts=on "$IMAGE"
state "$IMAGE"
img amend -o size=4M "$IMAGE"
state "$IMAGE"
img amend -o refcount_bits=16 "$IMAGE"
state "$IMAGE"
say "resize"
fresh
for size in 3M 2M 512k 8M; do
    img resize --shrink "$IMAGE" $size
    state "$IMAGE"
done
say "convert"
fresh
img convert --bitmaps -O qcow2 "$IMAGE" out
state out
img convert --bitmaps -c -O qcow2 "$IMAGE" out
state out
img convert -O qcow2 "$IMAGE" out
state out
img convert --bitmaps -O qcow2 -o compat=0.10 "$IMAGE" out
img convert --bitmaps -O qcow2 -B base -F qcow2 "$IMAGE" out
state out
say "a crash"
fresh
_run "$QEMU_IO" -f qcow2 -c 'write -P 4 1M 64k' -c abort "$IMAGE"
state "$IMAGE"
img bitmap --merge fine "$IMAGE" off
img bitmap --clear "$IMAGE" fine
img bitmap --enable "$IMAGE" fine
img convert --bitmaps -O qcow2 "$IMAGE" out
img convert --bitmaps --skip-broken-bitmaps -O qcow2 "$IMAGE" out
state out
img resize "$IMAGE" 4M
img check -r all "$IMAGE"
state "$IMAGE"
for name in fine coarse off; do
    img bitmap --remove "$IMAGE" $name
done
state "$IMAGE"
