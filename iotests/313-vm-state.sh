#!/usr/bin/env bash
# title: VM state
# breaks: a saved machine does not resume, or its state overwrites the disk
# groups: vmstate snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for options in cluster_size=64k cluster_size=512 cluster_size=4k,compat=0.10; do
    say "$options"
    rm -f "$IMAGE"
    make "$IMAGE" 1M -o "$options"
    io_commands "$IMAGE" 'write -P 1 0 1M' 'write -b -P 2 0 200k' 'read -b -P 2 0 200k' 'read -P 1 0 1M' 'read -b 1M 16' \
        'write -b -P 3 300k 100' 'read -b -v 307190 16'
    layout "$IMAGE"
    img check "$IMAGE"
    img map --output=json "$IMAGE"
    img snapshot -c state "$IMAGE"
    img snapshot -l "$IMAGE"
    io_commands "$IMAGE" 'write -P 4 0 64k' 'read -b -v 0 16' 'write -b -P 5 0 64k'
    img snapshot -a state "$IMAGE"
    io_commands "$IMAGE" 'read -b -P 2 0 200k' 'read -P 1 0 1M'
    layout "$IMAGE"
    img resize "$IMAGE" 2M
    img snapshot -d state "$IMAGE"
    img resize "$IMAGE" 2M
    layout "$IMAGE"
    img check "$IMAGE"
done
quiet img create -f raw raw 1M
io -f raw -c 'write -b 0 64k' -c 'read -b 0 64k' raw
