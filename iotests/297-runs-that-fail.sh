#!/usr/bin/env bash
# title: requests of several runs of which one fails
# breaks: what was on its way with a run that failed is lost, or is written that was never begun
# groups: blkdebug io rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# Each cluster in front of the one before it: a write over them has one run for each.
quiet img create -f qcow2 backwards.qcow2 2M
arguments=()
for ((k = 15; k >= 0; k--)); do
    arguments+=(-c "write -P 9 $((k * 64))k 64k")
done
quiet io -f qcow2 "${arguments[@]}" backwards.qcow2

# failing OPTIONS COMMAND…: what is left of the first twenty clusters
failing() {
    local options=$1 command arguments=() k
    shift
    cp backwards.qcow2 "$IMAGE"
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io --image-opts "driver=qcow2,file.driver=blkdebug,file.image.filename=$IMAGE,$options" "${arguments[@]}"
    for ((k = 0; k < 20; k++)); do
        "$QEMU_IO" -r -f qcow2 -c "read -v $((k * 64))k 1" "$IMAGE" | head -n 1 | cut -c 12-14
    done | tr -d '\n'
    echo
    quiet img check "$IMAGE"
}

# sector_of CLUSTER: the guest's sixteen clusters lie backwards behind the first five of the file
sector_of() {
    echo $(((20 - $1) * 128))
}

inject=file.inject-error.0
for cluster in 0 1 3; do
    for at_once in off on; do
        say "cluster $cluster, immediately=$at_once"
        failing "$inject.event=none,$inject.once=on,$inject.iotype=write,$inject.immediately=$at_once,$inject.sector=$(sector_of $cluster)" \
            'write -P 1 0 512k'
        failing "$inject.event=none,$inject.once=on,$inject.iotype=read,$inject.immediately=$at_once,$inject.sector=$(sector_of $cluster)" \
            'read -P 9 0 1M' 'read -P 9 0 1M'
    done
done
say "of two errors the first"
failing "$inject.event=none,$inject.errno=5,$inject.iotype=write,$inject.sector=$(sector_of 2),file.inject-error.1.event=none,file.inject-error.1.errno=28,file.inject-error.1.iotype=write,file.inject-error.1.immediately=on,file.inject-error.1.sector=$(sector_of 5)" \
    'write -P 1 0 384k'
say "new clusters"
failing "$inject.event=write_aio,$inject.errno=28,$inject.once=on" 'write -P 1 0 64k' 'write -P 1 960k 128k' 'write -P 1 1M 64k'
