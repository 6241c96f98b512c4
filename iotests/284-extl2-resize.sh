#!/usr/bin/env bash
# title: subclusters: resize
# breaks: growing brings old data back or loses the end of the disk; shrinking leaves clusters behind
# groups: extl2 resize
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f raw base 1M
quiet io -f raw -c 'write -P 170 0 1M' base

for how in off metadata falloc full; do
    say "grow, $how"
    quiet img create -f qcow2 -o extended_l2=on,cluster_size=16k "$IMAGE" 41k
    quiet io -f qcow2 -c 'write -P 1 33k 1k' -c 'write -z 36k 1k' "$IMAGE"
    img resize -f qcow2 --preallocation=$how "$IMAGE" 70k
    extended_entries "$IMAGE"
    io_commands "$IMAGE" 'read -P 0 0 33k' 'read -P 1 33k 1k' 'read -P 0 34k 36k'
    img check -f qcow2 "$IMAGE"

    say "the last cluster is shared, $how"
    quiet img create -f qcow2 -o extended_l2=on,cluster_size=16k "$IMAGE" 41k
    quiet io -f qcow2 -c 'write -P 1 33k 1k' "$IMAGE"
    quiet img snapshot -c one "$IMAGE"
    img resize -f qcow2 --preallocation=$how "$IMAGE" 70k
    extended_entries "$IMAGE"
    io_commands "$IMAGE" 'read -P 0 0 33k' 'read -P 1 33k 1k' 'read -P 0 34k 36k'
    img check -f qcow2 "$IMAGE"

    say "a longer backing file, $how"
    quiet img create -f qcow2 -o extended_l2=on,cluster_size=16k -b base -F raw "$IMAGE" 42496
    img resize -f qcow2 --preallocation=$how "$IMAGE" 70k
    extended_entries "$IMAGE"
    io_commands "$IMAGE" 'read -P 170 0 42496' 'read -P 0 42496 29184'
    img map -f qcow2 --output=json "$IMAGE"
    img check -f qcow2 "$IMAGE"
done

say "shrink"
quiet img create -f qcow2 -o extended_l2=on,cluster_size=16k "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 1M' "$IMAGE"
img resize -f qcow2 "$IMAGE" 35k
img resize -f qcow2 --shrink "$IMAGE" 35k
extended_entries "$IMAGE"
stat -c '%s' "$IMAGE"
img check -f qcow2 "$IMAGE"
img resize -f qcow2 "$IMAGE" 100k
io_commands "$IMAGE" 'read -P 1 0 35k' 'read -P 0 48k 52k'
img check -f qcow2 "$IMAGE"
