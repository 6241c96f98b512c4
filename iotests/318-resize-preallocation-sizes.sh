#!/usr/bin/env bash
# title: growth with preallocation by cluster size
# breaks: refcounts are wrong after a preallocated growth
# groups: resize preallocate refcount
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for cluster in 4k 64k; do
    for mode in metadata falloc full; do
        for first in off metadata; do
            rm -f "$IMAGE"
            say "$cluster, $first, then $mode"
            quiet img create -f qcow2 -o "cluster_size=$cluster,preallocation=$first" "$IMAGE" 700k
            img resize --preallocation=$mode "$IMAGE" 1500k
            layout "$IMAGE"
            img resize --preallocation=$mode "$IMAGE" 5M
            layout "$IMAGE"
            img check "$IMAGE"
            img snapshot -c s "$IMAGE"
            img resize --preallocation=$mode "$IMAGE" 6M
            layout "$IMAGE"
            img check "$IMAGE"
        done
    done
done
