#!/usr/bin/env bash
# title: dd
# breaks: dd copies other blocks than it was told to
# groups: dd convert
# formats: raw qcow2 qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 1 0 128k' -c 'write -P 2 128k 128k' -c 'write -P 3 512k 512k' "$IMAGE"

dd_() {
    rm -f out
    img dd -f "$IMAGE_FORMAT" -O "$IMAGE_FORMAT" "if=$IMAGE" of=out "$@"
    if [ "$status" -ne 0 ]; then
        # The real tools may leave an empty file behind.
        rm -f out
    elif [ -e out ]; then
        img info -f "$IMAGE_FORMAT" out | grep 'virtual size'
    fi
}

say "all of it"
dd_
img compare -f "$IMAGE_FORMAT" -F "$IMAGE_FORMAT" "$IMAGE" out
dd_ bs=4k
img compare -f "$IMAGE_FORMAT" -F "$IMAGE_FORMAT" "$IMAGE" out

say "count"
dd_ bs=64k count=3
io_commands out 'read -P 1 0 128k' 'read -P 2 128k 64k'
dd_ bs=1M count=9
dd_ bs=64k count=0

say "skip"
dd_ bs=64k skip=1
io_commands out 'read -P 1 0 64k' 'read -P 2 64k 128k' 'read -P 0 192k 256k' 'read -P 3 448k 512k'
dd_ bs=64k skip=3 count=2
io_commands out 'read -P 2 0 64k' 'read -P 0 64k 64k'
dd_ bs=64k skip=16
dd_ bs=64k skip=99
dd_ skip=2

say "block sizes"
for size in 512 1k 3 1000 512k 2M 0 -1 nonsense ''; do
    dd_ "bs=$size" count=1
done

say "to other formats"
img dd -f "$IMAGE_FORMAT" -O raw "if=$IMAGE" of=out.raw bs=64k
img compare -f "$IMAGE_FORMAT" -F raw "$IMAGE" out.raw
img dd -f raw -O qcow2 if=out.raw of=out.qcow2 bs=64k
img compare -f raw -F qcow2 out.raw out.qcow2
img dd "if=$IMAGE" of=out2.raw
img compare -f "$IMAGE_FORMAT" -F raw "$IMAGE" out2.raw

say "wrong ways to ask"
img dd -f "$IMAGE_FORMAT" "if=$IMAGE"
img dd of=out
img dd
img dd -f "$IMAGE_FORMAT" if=missing of=out
img dd -f "$IMAGE_FORMAT" -O nonsense "if=$IMAGE" of=out
img dd -f nonsense "if=$IMAGE" of=out
img dd -f "$IMAGE_FORMAT" "if=$IMAGE" of=out nonsense=1
img dd -f "$IMAGE_FORMAT" "if=$IMAGE" of=out count=nonsense
img dd -f "$IMAGE_FORMAT" "if=$IMAGE" of=out skip=-1
img dd -f "$IMAGE_FORMAT" "if=$IMAGE" of=out seek=1
