#!/usr/bin/env bash
# title: subclusters: what is written is what is read
# breaks: bytes of one subcluster land in another, or its neighbours are lost
# groups: extl2 rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 -o extended_l2=on "$IMAGE" 1M

say "a sector, a subcluster, parts of several, whole clusters"
io_commands "$IMAGE" 'write -P 1 0 512' 'write -P 2 6k 2k' 'write -P 3 9k 10k' 'write -P 4 60k 80k' 'write -P 5 70001 11'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'read -P 1 0 512' 'read -P 0 512 5632' 'read -P 2 6k 2k' 'read -P 0 8k 1k' 'read -P 3 9k 10k' \
    'read -P 0 19k 41k' 'read -P 4 60k 10k' 'read -P 5 70001 11' 'read -P 4 71680 68k' 'read -P 0 140k 884k'
img map -f qcow2 "$IMAGE"
img map -f qcow2 --output=json "$IMAGE"
io_commands "$IMAGE" map 'alloc 0 1M' 'alloc 0 2k' 'alloc 2k 4k' 'alloc 128k 64k'
img check -f qcow2 "$IMAGE"

say "compressed clusters have no subclusters"
io_commands "$IMAGE" 'write -c -P 6 256k 64k' 'write -c -P 7 0 64k' 'write -c -P 7 320k 32k'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'read -P 6 256k 64k' 'write -P 8 258k 1k' 'read -P 6 256k 2k' 'read -P 8 258k 1k' 'read -P 6 259k 61k'
extended_entries "$IMAGE"
img check -f qcow2 "$IMAGE"

say "clusters of 16k and 2M"
for size in 16k 2M; do
    quiet img create -f qcow2 -o "extended_l2=on,cluster_size=$size" "$IMAGE" 8M
    io_commands "$IMAGE" 'write -P 1 1k 512' 'write -P 2 100k 70k' 'read -P 1 1k 512' 'read -P 0 0 1k' 'read -P 2 100k 70k' \
        'read -P 0 170k 6M'
    extended_entries "$IMAGE"
    img check -f qcow2 "$IMAGE"
done
