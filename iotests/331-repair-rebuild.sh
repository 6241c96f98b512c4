#!/usr/bin/env bash
# title: refcounts rebuilt from nothing
# breaks: the new counts overwrite what they count
# groups: repair refcount
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for options in cluster_size=512 cluster_size=512,refcount_bits=64 cluster_size=4k,refcount_bits=1 cluster_size=4k cluster_size=2M,refcount_bits=64 compat=0.10; do
    for damage in table blocks both; do
        say "$options, $damage"
        rm -f "$IMAGE"
        make "$IMAGE" 4M -o "$options"
        quiet io -f qcow2 -c 'write -P 1 0 300k' -c 'write -P 2 3M 100k' "$IMAGE"
        table=$(number "$IMAGE" 48 8)
        clusters=$(number "$IMAGE" 56 4)
        cluster=$((1 << $(number "$IMAGE" 20 4)))
        block=$(number "$IMAGE" "$table" 8)
        if [ $damage != table ]; then
            dd if=/dev/zero of="$IMAGE" bs=$cluster seek=$((block / cluster)) count=1 conv=notrunc status=none
        fi
        if [ $damage != blocks ]; then
            dd if=/dev/zero of="$IMAGE" bs=$cluster seek=$((table / cluster)) count="$clusters" conv=notrunc status=none
        fi
        img check "$IMAGE" 2>&1 | tail -n 3
        _run "$QEMU_IMG" check -r all "$IMAGE"
        echo "exit code $status"
        cat "$STREAMS/stdout"
        grep -c . "$STREAMS/stderr"
        tail -n 4 "$STREAMS/stderr"
        layout "$IMAGE"
        img check "$IMAGE"
        io -r -f qcow2 -c 'read -P 1 0 300k' -c 'read -P 2 3M 100k' "$IMAGE"
    done
done
