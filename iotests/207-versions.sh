#!/usr/bin/env bash
# title: version 2 and version 3
# breaks: an old image gets new features, or a new one loses them
# groups: create info rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for compat in 0.10 1.1; do
    say "compat=$compat"
    img create -f qcow2 -o "compat=$compat" "$IMAGE" 1M
    echo "version $(number "$IMAGE" 4 4)"
    peek "$IMAGE" 0 104
    img info "$IMAGE" | grep -v 'file length'
    io_commands "$IMAGE" 'write -P 1 0 256k' 'write -z 64k 64k' 'write -z 300k 10k' 'read -P 0 64k 64k' 'read -P 1 128k 128k' 'discard 128k 64k' 'read -P 0 128k 64k'
    img map --output=json "$IMAGE"
    img check "$IMAGE"
    img snapshot -c one "$IMAGE"
    img resize "$IMAGE" 2M

    say "compat=$compat over a base"
    quiet img create -f raw base.raw 1M
    quiet io -f raw -c 'write -P 7 0 1M' base.raw
    quiet img create -f qcow2 -o "compat=$compat" -b base.raw -F raw "$IMAGE"
    io_commands "$IMAGE" 'write -z 0 64k' 'read -P 0 0 64k' 'write -z 100k 10k' 'read -P 0 100k 10k' 'read -P 7 64k 36k' \
        'discard 256k 64k' 'read -P 0 256k 64k'
    img map --output=json "$IMAGE"
done

say "lazy refcounts: the dirty bit is set and cleared"
quiet img create -f qcow2 -o lazy_refcounts=on "$IMAGE" 1M
peek "$IMAGE" 72 8
io_commands "$IMAGE" 'write -P 1 0 128k'
peek "$IMAGE" 72 8
img check "$IMAGE"
img info "$IMAGE" | grep -E 'lazy|corrupt'

say "feature names"
quiet img create -f qcow2 "$IMAGE" 1M
dd if="$IMAGE" bs=1 skip=112 count=384 status=none | tr -s '\0' '\n' | grep -a ' '
