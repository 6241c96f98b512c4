#!/usr/bin/env bash
# title: repairs of images with snapshots
# breaks: a repair takes a snapshot's clusters away
# groups: repair check snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    rm -f "$IMAGE"
    make "$IMAGE" 1M "$@"
    quiet io -f qcow2 -c 'write -P 1 0 256k' "$IMAGE"
    quiet img snapshot -c one "$IMAGE"
    quiet io -f qcow2 -c 'write -P 2 64k 128k' "$IMAGE"
    quiet img snapshot -c two "$IMAGE"
    quiet io -f qcow2 -c 'write -P 3 192k 128k' "$IMAGE"
    table=$(number "$IMAGE" 48 8)
    block=$(number "$IMAGE" "$table" 8)
    snapshots=$(number "$IMAGE" 64 8)
    l1_one=$(number "$IMAGE" "$snapshots" 8)
    l2_one=$(($(number "$IMAGE" "$l1_one" 8) & 0x00fffffffffffe00))
}
repairs() {
    cp "$IMAGE" damaged
    img check "$IMAGE"
    for how in leaks all; do
        cp damaged "$IMAGE"
        img check -r $how "$IMAGE"
        layout "$IMAGE"
        img check "$IMAGE"
        # What becomes of an image that is still broken is nobody's promise.
        [ "$status" -eq 0 ] || continue
        io -r -f qcow2 -c 'read -P 1 0 64k' -c 'read -P 2 64k 128k' -c 'read -P 3 192k 128k' "$IMAGE"
        img snapshot -l "$IMAGE"
        img snapshot -a one "$IMAGE"
        io -r -f qcow2 -c 'read -P 1 0 256k' "$IMAGE"
        img snapshot -d two "$IMAGE"
        img check "$IMAGE"
    done
}
for options in cluster_size=64k cluster_size=64k,compat=0.10 cluster_size=64k,refcount_bits=8; do
    say "$options: nothing wrong"
    fresh -o $options
    repairs
    say "$options: no counts"
    fresh -o $options
    dd if=/dev/zero of="$IMAGE" bs=65536 seek=$((block >> 16)) count=1 conv=notrunc status=none
    repairs
done
say "the snapshot's L1 table behind the end"
fresh
poke64 "$IMAGE" "$snapshots" $((0x10000000))
repairs
say "the snapshot's L1 table not aligned"
fresh
poke64 "$IMAGE" "$snapshots" $((l1_one + 512))
repairs
say "the snapshot's L1 table too large"
fresh
poke32 "$IMAGE" $((snapshots + 8)) 0x7fffffff
repairs
say "the snapshot's table not aligned"
fresh
poke64 "$IMAGE" "$l1_one" $((l2_one + 512))
repairs
say "one snapshot is lost"
fresh
poke32 "$IMAGE" 60 1
repairs
say "all snapshots are lost"
fresh
poke32 "$IMAGE" 60 0
poke64 "$IMAGE" 64 0
repairs
