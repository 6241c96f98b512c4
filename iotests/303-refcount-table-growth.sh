#!/usr/bin/env bash
# title: refcount tables that grow
# breaks: a grown refcount table is counted wrongly, or the old one is not freed
# groups: refcount rw check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for options in cluster_size=512,refcount_bits=64 cluster_size=512 cluster_size=1k,refcount_bits=64 cluster_size=512,refcount_bits=1; do
    say "$options"
    make "$IMAGE" 64M -o "$options"
    for start in 0 2M 4M 9M 30M; do
        quiet io -f qcow2 -c "write -P 7 $start 1500k" "$IMAGE"
        layout "$IMAGE"
    done
    img check "$IMAGE"
    quiet img map "$IMAGE"
    io_commands "$IMAGE" 'read -P 7 0 1500k' 'read -P 7 30M 1500k' 'discard 0 4M' 'write -P 8 33M 3M'
    layout "$IMAGE"
    img check "$IMAGE"
done
