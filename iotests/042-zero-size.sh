#!/usr/bin/env bash
# title: zero-sized images
# breaks: an image without a single sector can't be made, opened, read, converted or grown, or a format that has none makes one
# groups: create rw convert
# formats: raw qcow2 qcow
# requires: nothing
# origin: ours, from the one-line description "zero-sized images"

. "$SUITE_COMMON"

say "create"
for size in 0 0k; do
    img create -f "$IMAGE_FORMAT" "$IMAGE" "$size"
done
[ "$IMAGE_FORMAT" = qcow ] && exit 0
img info -f "$IMAGE_FORMAT" "$IMAGE"

say "there is nothing to read or write"
io_commands "$IMAGE" length 'read 0 512' 'write 0 512' 'read 0 0' 'write -z 0 0' 'discard 0 0' map
img map -f "$IMAGE_FORMAT" "$IMAGE"
img map --output=json -f "$IMAGE_FORMAT" "$IMAGE"

say "convert to every format"
for format in raw qcow2; do
    img convert -f "$IMAGE_FORMAT" -O "$format" "$IMAGE" "out.$format"
    img compare -f "$IMAGE_FORMAT" -F "$format" "$IMAGE" "out.$format"
done
img convert -f "$IMAGE_FORMAT" -O qcow "$IMAGE" out.qcow
img convert -c -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" compressed.qcow2
img compare -s -f "$IMAGE_FORMAT" -F qcow2 "$IMAGE" compressed.qcow2
img measure -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE"
img dd -f "$IMAGE_FORMAT" -O "$IMAGE_FORMAT" "if=$IMAGE" of=dd.out

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "an overlay larger than its empty base, and an empty one over a base"
    img create -f qcow2 -b "$IMAGE" -F qcow2 large.qcow2 64k
    io_commands large.qcow2 'read -P 0 0 64k' 'write -P 1 4k 4k' 'read -P 0 0 4k' 'read -P 1 4k 4k'
    img create -f qcow2 -b large.qcow2 -F qcow2 empty.qcow2 0
    io_commands empty.qcow2 length 'read 0 512'
    img snapshot -c none empty.qcow2
    img snapshot -a none empty.qcow2
    img check empty.qcow2
fi

say "grow, then shrink to nothing"
img resize -f "$IMAGE_FORMAT" "$IMAGE" 64k
io_commands "$IMAGE" 'write -P 0x5a 0 64k' 'read -P 0x5a 0 64k'
img resize -f "$IMAGE_FORMAT" --shrink "$IMAGE" 0
io_commands "$IMAGE" length 'read 0 512'
