#!/usr/bin/env bash
# title: an error at every event
# breaks: an error while an image is changed goes unnoticed, is told in other words, corrupts the image or leaves it unusable
# groups: blkdebug rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 -o cluster_size=4k plain.qcow2 16M
quiet img create -f qcow2 backing.qcow2 1M
quiet io -f qcow2 -c 'write -P 1 0 256k' backing.qcow2
quiet img create -f qcow2 -b backing.qcow2 -F qcow2 overlay.qcow2
quiet img create -f qcow2 shared.qcow2 1M
quiet io -f qcow2 -c 'write -P 1 0 256k' shared.qcow2
quiet img snapshot -c before shared.qcow2

# failing PROTOTYPE EVENT ONCE COMMAND…
failing() {
    local prototype=$1 event=$2 once=$3 command arguments=()
    shift 3
    cp "$prototype.qcow2" "$IMAGE"
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io --image-opts "driver=qcow2,file.driver=blkdebug,file.image.filename=$IMAGE,file.inject-error.0.event=$event,file.inject-error.0.once=$once" "${arguments[@]}"
    img check -r leaks "$IMAGE"
    io_commands "$IMAGE" 'write -P 9 0 64k' 'read -P 9 0 64k'
    quiet img check "$IMAGE"
}

for event in l2_alloc_write l2_update l1_update refblock_alloc refblock_load refblock_update_part \
    cluster_alloc write_aio pwritev flush_to_os reftable_load; do
    for once in on off; do
        say "$event once=$once, new clusters"
        failing plain "$event" "$once" 'write -P 2 0 64k' 'read 0 4k'
    done
done
for event in cow_read read_backing_aio cow_write; do
    say "$event, over a backing file"
    failing overlay "$event" on 'write -P 2 4k 4k' 'read -P 1 0 4k'
done
for event in l2_alloc_cow_read l2_load cow_read cow_write cluster_free; do
    say "$event, shared with a snapshot"
    failing shared "$event" on 'write -P 2 4k 4k' 'read -P 1 0 4k'
done
