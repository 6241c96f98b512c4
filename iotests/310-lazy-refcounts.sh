#!/usr/bin/env bash
# title: lazy refcounts and crashes
# breaks: a crash with lazy refcounts loses data, or the dirty bit outlives its cause
# groups: lazy check repair
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for end in abort 'sigraise 9' 'sigraise 15' flush quit; do
    say "ends with $end"
    make "$IMAGE" 1M -o lazy_refcounts=on
    io_commands "$IMAGE" 'write -P 1 0 128k' 'write -P 2 512k 64k' "$end"
    layout "$IMAGE"
    img check "$IMAGE"
    img info "$IMAGE" | grep -e clean -e lazy -e corrupt
    io -r -f qcow2 -c 'read -P 1 0 128k' "$IMAGE"
    layout "$IMAGE"
    io_commands "$IMAGE" 'read -P 1 0 128k' 'read -P 2 512k 64k'
    layout "$IMAGE"
    img check "$IMAGE"
done

say "repaired by hand"
for repair in leaks all; do
    make "$IMAGE" 1M -o lazy_refcounts=on
    quiet io -f qcow2 -c 'write -P 1 0 128k' "$IMAGE"
    _run "$QEMU_IO" -f qcow2 -c 'write -P 2 256k 128k' -c 'discard 0 64k' -c 'sigraise 9' "$IMAGE"
    img check -r $repair "$IMAGE"
    layout "$IMAGE"
    img check "$IMAGE"
done

say "switched on when it is opened"
make "$IMAGE" 1M
io -c 'write -P 1 0 64k' -c 'sigraise 9' --image-opts "driver=qcow2,lazy-refcounts=on,file.filename=$IMAGE"
layout "$IMAGE"
img check -r all "$IMAGE"
make "$IMAGE" 1M -o compat=0.10
io -c 'write -P 1 0 64k' --image-opts "driver=qcow2,lazy-refcounts=on,file.filename=$IMAGE"
make "$IMAGE" 1M -o lazy_refcounts=on
io -c 'write -P 1 0 64k' -c 'sigraise 9' --image-opts "driver=qcow2,lazy-refcounts=off,file.filename=$IMAGE"
layout "$IMAGE"
img check "$IMAGE"

say "other tools on a dirty image"
dirty() {
    rm -f "$IMAGE"
    make "$IMAGE" 1M -o lazy_refcounts=on
    _run "$QEMU_IO" -f qcow2 -c 'write -P 1 0 128k' -c 'sigraise 9' "$IMAGE"
}
dirty
img resize "$IMAGE" 2M
img check "$IMAGE"
dirty
img amend -o lazy_refcounts=off "$IMAGE"
layout "$IMAGE"
dirty
img snapshot -c s "$IMAGE"
layout "$IMAGE"
dirty
img snapshot -l "$IMAGE"
img map "$IMAGE"
img convert -O raw "$IMAGE" out
img measure -O raw "$IMAGE"
layout "$IMAGE"
dirty
make over 1M -b "$IMAGE" -F qcow2
on over 'read -P 1 0 128k'
layout "$IMAGE"
