#!/usr/bin/env bash
# title: smaller disks with snapshots
# breaks: a snapshot loses data when the disk gets smaller, or the disk does not come back with it
# groups: resize snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for compat in 0.10 1.1; do
    say "$compat"
    make "$IMAGE" 4M -o "compat=$compat,cluster_size=4k"
    quiet io -f qcow2 -c 'write -P 1 0 100k' -c 'write -P 2 3M 100k' "$IMAGE"
    img snapshot -c big "$IMAGE"
    img resize "$IMAGE" 1M
    img resize --shrink "$IMAGE" 1M
    layout "$IMAGE"
    img check "$IMAGE"
    img snapshot -c small "$IMAGE"
    img snapshot -l "$IMAGE"
    img resize "$IMAGE" 8M
    io_commands "$IMAGE" 'read -P 1 0 100k' 'write -P 3 7M 64k'
    img snapshot -c large "$IMAGE"
    for name in big small large big; do
        img snapshot -a $name "$IMAGE"
        img info "$IMAGE" | grep 'virtual size'
        img map --output=json "$IMAGE"
        layout "$IMAGE"
        img check "$IMAGE"
    done
    img convert -l small -O raw "$IMAGE" small.raw
    length_of small.raw
    img convert -l snapshot.name=large -O raw "$IMAGE" large.raw
    length_of large.raw
    for name in big small large; do
        img snapshot -d $name "$IMAGE"
        img check "$IMAGE"
        layout "$IMAGE"
    done
    img resize --shrink "$IMAGE" 512
    layout "$IMAGE"
    img resize --shrink "$IMAGE" 0
    layout "$IMAGE"
    img check "$IMAGE"
done
