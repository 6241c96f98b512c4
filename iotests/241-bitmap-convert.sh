#!/usr/bin/env bash
# title: bitmaps through convert, snapshots, commit and crashes
# breaks: a bitmap that is out of date is trusted, or a good one is lost on the way
# groups: bitmap convert snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

bitmaps() {
    img info -f qcow2 "$1" | sed -n '/bitmaps:/,/refcount bits/p'
}

quiet img create -f qcow2 "$IMAGE" 10M
quiet img bitmap --add "$IMAGE" b0
quiet img bitmap --add --disable "$IMAGE" b1
quiet io -f qcow2 -c 'write 1M 1M' "$IMAGE"

say "convert"
img convert -O qcow2 --bitmaps "$IMAGE" copy
bitmaps copy
img check copy
img convert -O qcow2 "$IMAGE" without
bitmaps without
img convert -n -O qcow2 --bitmaps "$IMAGE" copy
img convert -O raw --bitmaps "$IMAGE" raw
img convert -O qcow2 -o compat=0.10 --bitmaps "$IMAGE" old
img convert -f raw -O qcow2 --bitmaps raw other
img convert -O qcow2 --bitmaps "$IMAGE" "$IMAGE" other
img convert -O qcow2 --skip-broken-bitmaps "$IMAGE" other
quiet img create -f qcow2 longer 20M
img convert -n -O qcow2 --bitmaps "$IMAGE" longer
bitmaps longer

say "snapshots"
img snapshot -c s copy
img snapshot -a s copy
img snapshot -d s copy
bitmaps copy

say "commit keeps the bitmaps of both"
quiet img create -f qcow2 -b "$IMAGE" -F qcow2 top
quiet img bitmap --add top t
quiet io -f qcow2 -c 'write 5M 64k' top
img commit top
bitmaps top
bitmaps "$IMAGE"
img check top
img check "$IMAGE"

say "left in use by a crash"
quiet io -f qcow2 -c 'write 3M 64k' -c flush -c abort copy 2>/dev/null
bitmaps copy
img bitmap --clear copy b0
img bitmap --merge b0 copy b1
img resize copy 20M
img convert -O qcow2 --bitmaps copy broken
img convert -O qcow2 --bitmaps --skip-broken-bitmaps copy broken
img bitmap --remove copy b0
img bitmap --remove copy b1
bitmaps copy
img check copy
