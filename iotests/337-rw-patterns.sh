#!/usr/bin/env bash
# title: reads and writes at every odd place
# breaks: a byte next to the one written changes
# groups: rw
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
on "$IMAGE" 'write -P 1 0 1M'
for place in 1 511 512 513 4095 4096 65535 65536 65537 131071 524287 1048064 1048575; do
    on "$IMAGE" "write -P 2 $place 1" "read -P 2 $place 1"
    image_at "$IMAGE"
    img convert "${at[@]}" -O raw flat
    sha256sum <flat
done
on "$IMAGE" 'write -P 3 100 70000' 'read -P 1 0 100' 'read -P 3 100 70000' 'write -P 4 1048570 6' 'read -P 4 1048570 6'
on "$IMAGE" 'write -P 5 1048570 7' 'write -P 5 1M 1' 'read 1M 1' 'read 1048575 2' 'write 0 0' 'read 0 0' 'read -P 1 0 1' 'write -z 10 10' 'read -P 0 10 10'
on "$IMAGE" 'writev -P 6 512 512 1024 2048' 'readv -P 6 512 512 1024 2048' 'read -s 1k -l 1k -P 0 1k 4k' 'read -v 4080 32' 'aio_write -P 7 8k 8k' 'aio_flush' 'read -P 7 8k 8k'
img convert "${at[@]}" -O raw flat
sha256sum <flat
