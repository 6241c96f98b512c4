#!/usr/bin/env bash
# title: L1 tables that grow
# breaks: a grown L1 table overlaps something or loses what it pointed to
# groups: resize rw check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for cluster in 512 4k 64k; do
    say "clusters of $cluster"
    make "$IMAGE" 100k -o "cluster_size=$cluster"
    quiet io -f qcow2 -c 'write -P 1 0 100k' "$IMAGE"
    largest=150M
    [ $cluster = 512 ] && largest=20M
    for size in 1M 5M 17M $largest; do
        img resize "$IMAGE" "$size"
        layout "$IMAGE"
        at_end=$(($(number "$IMAGE" 24 8) - 8192))
        io_commands "$IMAGE" "write -P 2 $at_end 8k" "read -P 2 $at_end 8k" 'read -P 1 0 100k'
    done
    img map --output=json "$IMAGE"
    img check "$IMAGE"
    img resize --shrink "$IMAGE" 3M
    layout "$IMAGE"
    img check "$IMAGE"
done
