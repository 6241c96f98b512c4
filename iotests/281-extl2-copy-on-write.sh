#!/usr/bin/env bash
# title: subclusters: copied on write only as far as needed
# breaks: data of the backing file or of a snapshot is lost around a small write
# groups: extl2 backing snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 base 1M
quiet io -f qcow2 -c 'write -P 170 0 1M' base
quiet img create -f qcow2 -o extended_l2=on -b base -F qcow2 "$IMAGE"

say "over a backing file: to the ends of the subclusters"
io_commands "$IMAGE" 'write -P 1 1k 512' 'write -P 2 11k 10k' 'write -P 3 127k 3k'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'read -P 170 0 1k' 'read -P 1 1k 512' 'read -P 170 1536 9728' 'read -P 2 11k 10k' 'read -P 170 21k 106k' \
    'read -P 3 127k 3k' 'read -P 170 130k 894k'
img map -f qcow2 --output=json "$IMAGE"

say "a cluster that a snapshot shares: from its first subcluster with data to its last"
quiet img snapshot -c one "$IMAGE"
io_commands "$IMAGE" 'write -P 4 7k 1k'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'read -P 170 0 1k' 'read -P 1 1k 512' 'read -P 170 1536 5632' 'read -P 4 7k 1k' 'read -P 170 8k 3k' 'read -P 2 11k 10k' \
    'read -P 170 21k 106k'
img check -f qcow2 "$IMAGE"
quiet img snapshot -a one "$IMAGE"
io_commands "$IMAGE" 'read -P 170 1536 9728' 'read -P 1 1k 512' 'read -P 2 11k 10k'

say "zeros stay zeros around it"
quiet io -f qcow2 -c 'write -z 32k 4k' -c 'write -z 192k 64k' "$IMAGE"
quiet img snapshot -c two "$IMAGE"
io_commands "$IMAGE" 'write -P 5 30k 1k' 'write -P 6 200k 3k'
extended_entries "$IMAGE"
io_commands "$IMAGE" 'read -P 5 30k 1k' 'read -P 0 32k 4k' 'read -P 170 36k 1k' 'read -P 0 192k 8k' 'read -P 6 200k 3k' 'read -P 0 203k 53k'
img check -f qcow2 "$IMAGE"
quiet img snapshot -d one "$IMAGE"
quiet img snapshot -d two "$IMAGE"
extended_entries "$IMAGE"
img check -f qcow2 "$IMAGE"
