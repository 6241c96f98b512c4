#!/usr/bin/env bash
# title: compressed clusters and snapshots
# breaks: a shared compressed cluster is freed too early
# groups: compress snapshot check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for options in compression_type=zlib compression_type=zstd cluster_size=4k cluster_size=2M refcount_bits=2 compat=0.10; do
    say "$options"
    rm -f "$IMAGE"
    make "$IMAGE" 4M -o $options
    cluster=$(img info "$IMAGE" | sed -n 's/^cluster_size: //p')
    for ((at = 0; at < 3; at++)); do
        quiet io -f qcow2 -c "write -c -P $((at + 1)) $((at * 2 * cluster % 4194304)) $cluster" "$IMAGE"
    done
    img check "$IMAGE"
    img snapshot -c a "$IMAGE"
    img check "$IMAGE"
    io_commands "$IMAGE" "write -P 9 0 $((cluster / 2))" "read -P 9 0 $((cluster / 2))" "read -P 1 $((cluster / 2)) $((cluster / 2))"
    img check "$IMAGE"
    img snapshot -d a "$IMAGE"
    img check "$IMAGE"
    io_commands "$IMAGE" "discard 0 4M" 'read -P 0 0 4M'
    img check "$IMAGE"
done
