#!/usr/bin/env bash
# title: refcounts of every width
# breaks: a count wraps into its neighbour, or a snapshot too many is not refused cleanly
# groups: refcount snapshot check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for bits in 1 2 4 8 16 32 64; do
    say "$bits bits"
    make "$IMAGE" 1M -o "refcount_bits=$bits"
    quiet io -f qcow2 -c 'write -P 1 0 200k' "$IMAGE"
    for name in a b c d; do
        img snapshot -c "$name" "$IMAGE"
    done
    io_commands "$IMAGE" 'write -P 2 64k 64k' 'read -P 1 0 64k' 'read -P 2 64k 64k' 'read -P 1 128k 72k'
    img snapshot -l "$IMAGE"
    if [ "$bits" -le 2 ]; then
        # What a snapshot that failed leaves behind is not the point here.
        _run "$QEMU_IMG" check -r all "$IMAGE"
        continue
    fi
    layout "$IMAGE"
    peek "$IMAGE" "$(number "$IMAGE" "$(number "$IMAGE" 48 8)" 8)" 128 | head -n 4
    img check "$IMAGE"
    img check -r all "$IMAGE"
    img snapshot -d a "$IMAGE"
    img snapshot -a b "$IMAGE"
    img check "$IMAGE"
done
