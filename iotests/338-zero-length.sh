#!/usr/bin/env bash
# title: requests of no bytes and the ends of disks
# breaks: an empty request harms, or one past the end is taken
# groups: rw limits errors
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 64k
on "$IMAGE" 'length' 'write 0 0' 'read 64k 0' 'write 64k 0' 'write -z 0 0' 'discard 0 0' 'write -z 64k 512' 'discard 64k 512' 'discard 65024 1k' 'write 65535 1' 'write 65536 1' 'write -1 1' 'read 8E 1' 'read 0 3G' 'write 0 2G' 'discard 0 8E' 'alloc 0' 'alloc 0 64k' 'alloc 64k' 'alloc 100k 1k' 'map'
image_at "$IMAGE"
img map --output=json "${at[@]}"
