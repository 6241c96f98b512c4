#!/usr/bin/env bash
# title: check of damaged images
# breaks: damage is called health, health damage, or the exit code says another thing than the text
# groups: check hostile
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    rm -f "$IMAGE"
    quiet img create -f qcow2 "$@" "$IMAGE" 1M
    quiet io -f qcow2 -c 'write -P 1 0 256k' "$IMAGE"
    refcount_table=$(number "$IMAGE" 48 8)
    refcount_block=$(number "$IMAGE" "$refcount_table" 8)
    l1_table=$(number "$IMAGE" 40 8)
    l2_table=$(($(number "$IMAGE" "$l1_table" 8) & 0x00fffffffffffe00))
}

checks() {
    img check -f qcow2 "$IMAGE"
    img check -f qcow2 --output=json "$IMAGE"
}

say "healthy"
fresh
checks
img check -q "$IMAGE"

say "a cluster that nobody uses"
fresh
truncate -s 768k "$IMAGE"
poke16 "$IMAGE" $((refcount_block + 2 * 10)) 1
checks

say "a count that is too high, and one that is too low"
fresh
poke16 "$IMAGE" $((refcount_block + 2 * 5)) 3
poke16 "$IMAGE" $((refcount_block + 2 * 6)) 0
checks

say "two guest clusters in one host cluster"
fresh
poke64 "$IMAGE" $((l2_table + 8)) "$(number "$IMAGE" "$l2_table" 8)"
checks

say "the same, and the flag that allows in-place writes is gone"
fresh
poke64 "$IMAGE" "$l2_table" "$(($(number "$IMAGE" "$l2_table" 8) & 0x7fffffffffffffff))"
checks

say "a data cluster that is not aligned"
fresh
poke64 "$IMAGE" "$l2_table" $((0x8000000000000000 | 0x50200))
checks

say "a data cluster behind the end of the file"
fresh
poke64 "$IMAGE" "$l2_table" $((0x8000000000000000 | 0x1000000))
checks

say "a data cluster that is the header"
fresh
poke64 "$IMAGE" "$l2_table" $((0x8000000000000000 | 0))
checks

say "reserved bits in L1 and L2"
fresh
poke64 "$IMAGE" "$l1_table" $((0xc000000000000000 | l2_table))
checks
fresh
poke64 "$IMAGE" "$l2_table" $((0x8000000000000000 | 0x50000 | 0x2))
checks

say "an L2 table that is not aligned"
fresh
quiet io -f qcow2 -c 'write -P 0 0 64k' "$IMAGE"
poke64 "$IMAGE" "$l1_table" $((0x8000000000000000 | (l2_table + 512)))
checks

say "a refcount block that is missing, not aligned, or behind the end"
fresh
poke64 "$IMAGE" "$refcount_table" 0
checks
fresh
poke64 "$IMAGE" "$refcount_table" $((refcount_block + 512))
checks

say "the dirty bit and the corrupt bit"
fresh -o lazy_refcounts=on
poke64 "$IMAGE" 72 1
img check -f qcow2 "$IMAGE"
fresh
poke64 "$IMAGE" 72 2
checks
img info "$IMAGE" | grep corrupt

say "a snapshot whose tables are counted wrongly"
fresh
quiet img snapshot -c one "$IMAGE"
refcount_block=$(number "$IMAGE" "$(number "$IMAGE" 48 8)" 8)
poke16 "$IMAGE" $((refcount_block + 2 * 5)) 1
checks

say "compressed clusters"
rm -f "$IMAGE"
quiet img create -f raw plain.raw 1M
quiet io -f raw -c 'write -P 1 0 300k' plain.raw
quiet img convert -c -O qcow2 plain.raw "$IMAGE"
checks
refcount_block=$(number "$IMAGE" "$(number "$IMAGE" 48 8)" 8)
poke16 "$IMAGE" $((refcount_block + 2 * 5)) 9
checks

say "what can't be checked"
img check -f raw plain.raw
img check plain.raw
img check -f qcow plain.raw
img check missing
img check
img check --output=yaml "$IMAGE"
img check -f nonsense "$IMAGE"
dd if=/dev/zero of="$IMAGE" bs=1 count=100 status=none
img check -f qcow2 "$IMAGE"
