#!/usr/bin/env bash
# title: resize
# breaks: a resize loses data, leaves old data behind a new end, or is made when it should be refused
# groups: resize
# formats: raw qcow2 qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

resize() {
    img resize -f "$IMAGE_FORMAT" "$@"
    img info -f "$IMAGE_FORMAT" "$IMAGE" | grep 'virtual size'
}

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
quiet io -f "$IMAGE_FORMAT" -c 'write -P 1 0 1M' "$IMAGE"

say "grow: to, and by"
resize "$IMAGE" 2M
io_commands "$IMAGE" 'read -P 1 0 1M' 'read -P 0 1M 1M' 'write -P 2 2047k 1k'
resize "$IMAGE" +512k
io_commands "$IMAGE" 'read -P 2 2047k 1k' 'read -P 0 2M 512k'
resize "$IMAGE" 2621952
resize -q "$IMAGE" +512
io_commands "$IMAGE" length

say "shrink only when told"
resize "$IMAGE" 1M
resize "$IMAGE" -- -1M
resize --shrink "$IMAGE" -- -1M
resize --shrink "$IMAGE" 512k
io_commands "$IMAGE" length 'read -P 1 0 512k' 'read -P 1 512k 512'
[ "$IMAGE_FORMAT" = qcow2 ] && img check -f qcow2 "$IMAGE"

say "what was behind the end does not come back"
resize "$IMAGE" 1M
io_commands "$IMAGE" 'read -P 1 0 512k' 'read -P 0 512k 512k'
resize --shrink "$IMAGE" 500000
resize "$IMAGE" 1M
io_commands "$IMAGE" 'read -P 1 0 499712' 'read -P 0 500224 548352'

say "the same size"
resize "$IMAGE" 1M
resize "$IMAGE" +0
resize --shrink "$IMAGE" -- -0

say "not a size"
resize "$IMAGE" one
resize "$IMAGE" ''
resize "$IMAGE" 0
resize --shrink "$IMAGE" -- -2M
resize --shrink "$IMAGE" -- -1M
resize "$IMAGE" ++1M
resize "$IMAGE" 16E
img resize -f "$IMAGE_FORMAT" "$IMAGE"
img resize 2M
img resize -f "$IMAGE_FORMAT" missing 2M
img resize -f nonsense "$IMAGE" 2M
img resize -f "$IMAGE_FORMAT" "$IMAGE" 2M 3M

say "preallocation"
for mode in off metadata falloc full nonsense; do
    resize --preallocation="$mode" "$IMAGE" +256k
done
io_commands "$IMAGE" 'read -P 1 0 499712' 'read -P 0 1M 512k'
[ "$IMAGE_FORMAT" = qcow2 ] && img check -f qcow2 "$IMAGE"
resize --shrink --preallocation=full "$IMAGE" 512k

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "with snapshots, and over a base"
    for compat in 0.10 1.1; do
        quiet img create -f qcow2 -o "compat=$compat" "$IMAGE" 1M
        quiet io -f qcow2 -c 'write -P 1 0 1M' "$IMAGE"
        quiet img snapshot -c one "$IMAGE"
        resize "$IMAGE" 2M
        resize --shrink "$IMAGE" 512k
    done
    quiet img create -f raw base.raw 1M
    quiet io -f raw -c 'write -P 7 0 1M' base.raw
    quiet img create -f qcow2 -b base.raw -F raw "$IMAGE" 512k
    resize "$IMAGE" 2M
    io_commands "$IMAGE" 'read -P 7 0 512k' 'read -P 0 512k 512k' 'read -P 0 1M 1M'
    img map --output=json -f qcow2 "$IMAGE"
    say "an L1 table that must move"
    quiet img create -f qcow2 -o cluster_size=512 "$IMAGE" 512k
    quiet io -f qcow2 -c 'write -P 1 0 512k' "$IMAGE"
    resize "$IMAGE" 64M
    io_commands "$IMAGE" 'write -P 2 63M 64k' 'read -P 1 0 512k' 'read -P 0 512k 8M' 'read -P 2 63M 64k'
    img check -f qcow2 "$IMAGE"
fi
