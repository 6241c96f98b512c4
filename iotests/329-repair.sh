#!/usr/bin/env bash
# title: repairs of ten kinds of damage
# breaks: a repair loses data, or says it repaired what it did not
# groups: repair check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    rm -f "$IMAGE"
    make "$IMAGE" 1M "$@"
    quiet io -f qcow2 -c 'write -P 1 0 256k' -c 'write -z 512k 64k' -c 'write -c -P 3 768k 64k' "$IMAGE"
    table=$(number "$IMAGE" 48 8)
    block=$(number "$IMAGE" "$table" 8)
    l1=$(number "$IMAGE" 40 8)
    l2=$(($(number "$IMAGE" "$l1" 8) & 0x00fffffffffffe00))
}
repairs() {
    cp "$IMAGE" damaged
    for how in leaks all; do
        cp damaged "$IMAGE"
        img check -r $how "$IMAGE"
        layout "$IMAGE"
        img check "$IMAGE"
        io -r -f qcow2 -c 'read -P 1 0 64k' -c 'read -P 3 768k 64k' "$IMAGE"
        cp damaged "$IMAGE"
        img check -r $how --output=json "$IMAGE"
        img check -q -r $how "$IMAGE"
    done
}

say "a leak"
fresh
truncate -s 1M "$IMAGE"
poke16 "$IMAGE" $((block + 2 * 12)) 1
repairs
say "counts too high"
fresh
poke16 "$IMAGE" $((block + 2 * 5)) 2
poke16 "$IMAGE" $((block + 2 * 4)) 7
repairs
say "counts too low"
fresh
quiet img snapshot -c s "$IMAGE"
poke16 "$IMAGE" $((block + 2 * 5)) 1
repairs
say "counts of zero"
fresh
poke16 "$IMAGE" $((block + 2 * 6)) 0
repairs
say "no counts at all"
fresh
dd if=/dev/zero of="$IMAGE" bs=65536 seek=$((block >> 16)) count=1 conv=notrunc status=none
repairs
say "a missing refcount block"
fresh
poke64 "$IMAGE" "$table" 0
repairs
say "a refcount block that is data"
fresh
poke64 "$IMAGE" "$table" $((0x50000))
repairs
say "a refcount block that is not aligned"
fresh
poke64 "$IMAGE" "$table" $((block + 512))
repairs
say "the flag of an entry"
fresh
poke64 "$IMAGE" "$l2" 0x50000
poke64 "$IMAGE" "$l1" "$l2"
repairs
say "a data cluster that is not aligned"
fresh
poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | 0x60200))
repairs
say "a zero cluster that is not aligned"
fresh
poke64 "$IMAGE" $((l2 + 8 * 8)) $((1 << 63 | 0x90201))
repairs
say "reserved bits"
fresh
poke64 "$IMAGE" $((l2 + 8 * 2)) $((1 << 63 | 0x70000 | 0x1e))
repairs
say "two in one"
fresh
poke64 "$IMAGE" $((l2 + 8)) $((1 << 63 | 0x50000))
repairs
say "dirty and corrupt"
fresh -o lazy_refcounts=on
poke64 "$IMAGE" 72 3
repairs
say "a compressed cluster behind the end"
fresh
poke64 "$IMAGE" $((l2 + 8 * 12)) $((0x4000000010000000))
repairs
