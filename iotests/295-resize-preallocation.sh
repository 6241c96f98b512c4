#!/usr/bin/env bash
# title: growing with preallocation where the old end cuts a cluster
# breaks: data in front of the old end is lost or shows at the wrong place, or a snapshot is written over
# groups: resize snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

grow() {
    local mode=$1 cluster_size=$2 old=$3 new=$4
    img resize -f qcow2 --preallocation="$mode" "$IMAGE" "$new"
    io_commands "$IMAGE" "read -P 7 0 $old" "read $old 1k" 'write -P 8 1k 1k' 'read -P 8 1k 1k'
    img check -f qcow2 "$IMAGE"
}

for mode in metadata falloc full; do
    for sizes in '2M 3M 4M' '2M 3M 9M' '64k 100k 129k' '4k 1025k 3M' '512 100k 1100k'; do
        read -r cluster_size old new <<<"$sizes"
        say "$mode, cluster_size=$cluster_size, $old to $new"
        quiet img create -f qcow2 -o "cluster_size=$cluster_size" "$IMAGE" "$old"
        quiet io -f qcow2 -c "write -P 7 0 $old" "$IMAGE"
        grow "$mode" "$cluster_size" "$old" "$new"
        say "and a snapshot keeps the old clusters"
        quiet img create -f qcow2 -o "cluster_size=$cluster_size" "$IMAGE" "$old"
        quiet io -f qcow2 -c "write -P 7 0 $old" "$IMAGE"
        quiet img snapshot -c s "$IMAGE"
        grow "$mode" "$cluster_size" "$old" "$new"
        img snapshot -a s "$IMAGE"
        io_commands "$IMAGE" "read -P 7 0 $old"
    done
    say "$mode, a compressed last cluster"
    quiet img create -f qcow2 "$IMAGE" 100k
    quiet io -f qcow2 -c 'write -c -P 7 0 100k' "$IMAGE"
    grow "$mode" 64k 100k 300k
    say "$mode, a backing file"
    quiet img create -f raw base.raw 200k
    quiet io -f raw -c 'write -P 7 0 200k' base.raw
    quiet img create -f qcow2 -b base.raw -F raw "$IMAGE" 100k
    grow "$mode" 64k 100k 300k
    io_commands "$IMAGE" 'read -P 0 100k 200k'
done
