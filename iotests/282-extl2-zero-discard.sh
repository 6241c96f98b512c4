#!/usr/bin/env bash
# title: subclusters: zeros and discard
# breaks: a zeroed or discarded range shows old data, or zeros spread to their neighbours
# groups: extl2 rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 base 1M
quiet io -f qcow2 -c 'write -P 170 0 1M' base

for backing in '' base; do
    say "backing file: ${backing:-none}"
    quiet img create -f qcow2 -o extended_l2=on ${backing:+-b "$backing" -F qcow2} "$IMAGE" 1M
    io_commands "$IMAGE" 'write -P 1 0 192k' 'write -z 2k 4k' 'write -z 9k 6k' 'write -z -u 20k 2k' 'write -z 64k 64k' 'write -z -u 128k 64k' \
        'write -z 257k 6k' 'write -z 384k 64k'
    extended_entries "$IMAGE"
    io_commands "$IMAGE" 'read -P 1 0 2k' 'read -P 0 2k 4k' 'read -P 1 6k 3k' 'read -P 0 9k 6k' 'read -P 1 15k 5k' 'read -P 0 20k 2k' \
        'read -P 1 22k 42k' 'read -P 0 64k 128k' 'read -P 0 257k 6k' 'read -P 0 384k 64k'
    img map -f qcow2 --output=json "$IMAGE"
    io_commands "$IMAGE" 'write -P 2 3k 512' 'write -P 3 70k 1k' 'write -P 4 400k 3k' 'read -P 0 2k 1k' 'read -P 2 3k 512' 'read -P 0 3584 512' \
        'read -P 3 70k 1k' 'read -P 0 71k 57k' 'read -P 4 400k 3k'
    extended_entries "$IMAGE"

    say "discard: whole clusters only"
    io_commands "$IMAGE" 'discard 6k 4k' 'discard 0 64k' 'discard 384k 64k' 'discard 448k 64k' 'discard 200k 100k'
    extended_entries "$IMAGE"
    io_commands "$IMAGE" 'read -P 0 0 64k' 'read -P 0 384k 64k'
    img check -f qcow2 "$IMAGE"

    say "part of a compressed cluster"
    io_commands "$IMAGE" 'write -c -P 5 512k 64k' 'write -z 514k 4k' 'read -P 5 512k 2k' 'read -P 0 514k 4k' 'read -P 5 518k 58k' \
        'write -c -P 5 576k 64k' 'write -z 576k 64k' 'read -P 0 576k 64k'
    extended_entries "$IMAGE" 10
    img check -f qcow2 "$IMAGE"
done

say "the disk ends inside a subcluster"
quiet img create -f qcow2 -o extended_l2=on "$IMAGE" 102912
io_commands "$IMAGE" 'write -P 1 64k 37376' 'write -z 65k 36352'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'write -P 1 64k 37376' 'write -z 64k 37376'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'discard 64k 37376'
extended_entries "$IMAGE"
