#!/usr/bin/env bash
# title: preallocated qcow2 images by cluster size
# breaks: the tables of a preallocated image are wrong at some cluster size
# groups: preallocate create check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for cluster in 512 4k 2M; do
    for mode in metadata falloc full; do
        for bits in 1 64; do
            rm -f "$IMAGE"
            say "$cluster $mode $bits"
            quiet img create -f qcow2 -o "cluster_size=$cluster,preallocation=$mode,refcount_bits=$bits" "$IMAGE" 3000k
            layout "$IMAGE"
            img check "$IMAGE"

        done
    done
done
