#!/usr/bin/env bash
# title: a disk that grows over a longer backing file
# breaks: old data of the backing file shows in what was added
# groups: resize backing preallocate
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for compat in 0.10 1.1; do
    for mode in off metadata falloc full; do
        # Refused, but the real tool leaves clusters behind that it had reserved by then.
        [ "$compat-$mode" != 0.10-metadata ] || continue
        say "$compat, $mode"
        rm -f base "$IMAGE"
        make base 1M
        quiet io -f qcow2 -c 'write -P 9 0 1M' base
        make "$IMAGE" 100k -o compat=$compat -b base -F qcow2
        img resize --preallocation=$mode "$IMAGE" 300k
        img map --output=json "$IMAGE"
        io_commands "$IMAGE" 'read -P 9 0 100k' 'read -P 0 100k 200k'
        img resize "$IMAGE" 2M
        img check "$IMAGE"
        layout "$IMAGE"
        img resize --shrink "$IMAGE" 64k
        img resize "$IMAGE" 512k
        img map --output=json "$IMAGE"
    done
done
