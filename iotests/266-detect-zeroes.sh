#!/usr/bin/env bash
# title: zeros that are written as data
# breaks: data that is all zeros takes space although that was not wanted
# groups: rw io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for mode in off on unmap; do
    for discard in ignore unmap; do
        say "detect-zeroes=$mode, discard=$discard"
        quiet img create -f qcow2 "$IMAGE" 1M
        quiet io -f qcow2 -c 'write -q -P 5 0 256k' "$IMAGE"
        io --image-opts -c 'write -P 0 0 64k' -c 'write -P 0 64k 4k' -c 'write -P 0 512k 64k' -c 'read -P 0 0 68k' "driver=qcow2,discard=$discard,detect-zeroes=$mode,file.filename=$IMAGE"
        img map --output=json -f qcow2 "$IMAGE"
    done
done
io --image-opts -c length "driver=qcow2,detect-zeroes=x,file.filename=$IMAGE"
