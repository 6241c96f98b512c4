#!/usr/bin/env bash
# title: the corrupt bit and guarded metadata
# breaks: metadata is overwritten by guest data, or a corrupt image is written to
# groups: errors check repair
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    rm -f "$IMAGE"
    make "$IMAGE" 1M "$@"
    quiet io -f qcow2 -c 'write -P 1 0 256k' "$IMAGE"
    table=$(number "$IMAGE" 48 8)
    block=$(number "$IMAGE" "$table" 8)
    l1=$(number "$IMAGE" 40 8)
    l2=$(($(number "$IMAGE" "$l1" 8) & 0x00fffffffffffe00))
}
after() {
    img info "$IMAGE" | grep corrupt
    io_commands "$IMAGE" 'write 0 512'
    io -r -f qcow2 -c 'read 192k 512' "$IMAGE"
    img check "$IMAGE"
    img check -r leaks "$IMAGE"
    img check -r all "$IMAGE"
    img info "$IMAGE" | grep corrupt
    io_commands "$IMAGE" 'write -P 9 512k 64k' 'read -P 9 512k 64k'
}

for target in header table block l1 l2; do
    say "guest cluster 1 is the $target"
    fresh
    place=0
    [ $target != header ] && place=${!target}
    poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | place))
    io_commands "$IMAGE" 'write -P 2 64k 512' 'read 0 512' 'write 0 512'
    after
    say "$target looks free"
    fresh
    poke16 "$IMAGE" $((block + 2 * (place >> 16))) 0
    io_commands "$IMAGE" 'write -P 2 512k 64k' 'write -P 3 640k 64k' 'read -P 1 0 256k'
    after
done

say "a cluster that is not aligned"
fresh
poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | 0x60200))
io_commands "$IMAGE" 'read 64k 512' 'read 0 512' 'write 0 512'
img info "$IMAGE" | grep corrupt
fresh
poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | 0x60200))
io -r -f qcow2 -c 'read 64k 512' -c 'read 64k 512' -c 'read 0 512' "$IMAGE"
img info "$IMAGE" | grep corrupt

say "an L2 table that is not aligned"
fresh
poke64 "$IMAGE" "$l1" $((1 << 63 | l2 + 512))
io_commands "$IMAGE" 'read 64k 512' 'write 0 512'
img info "$IMAGE" | grep corrupt

say "overlap checks by choice"
for choice in none constant cached all nonsense; do
    fresh
    poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | l2))
    io -c 'write -P 2 64k 512' --image-opts "driver=qcow2,overlap-check=$choice,file.filename=$IMAGE"
    fresh
    poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | l1))
    io -c 'write -P 2 64k 512' --image-opts "driver=qcow2,overlap-check.template=$choice,file.filename=$IMAGE"
    io -c 'write -P 2 64k 512' --image-opts "driver=qcow2,overlap-check.template=$choice,overlap-check.active-l1=off,file.filename=$IMAGE"
done
