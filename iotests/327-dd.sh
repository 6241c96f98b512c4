#!/usr/bin/env bash
# title: dd with all its operands
# breaks: a block is lost at the start or end
# groups: dd convert
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1000k
on "$IMAGE" 'write -P 1 0 300k' 'write -P 2 300k 300k' 'write -P 3 900k 100k'
for operands in 'bs=512' 'bs=1000' 'bs=1M' 'bs=2M' 'bs=64k count=3' 'bs=64k skip=3' 'bs=64k count=3 skip=4' 'bs=64k count=0' \
    'bs=64k skip=15' 'bs=64k skip=16' 'bs=64k skip=100' 'count=5' 'skip=1999' 'bs=100k count=100' 'bs=1 count=700' 'bs=7k count=7 skip=7'; do
    for target in raw qcow2; do
        rm -f out
        # shellcheck disable=SC2086
        img dd -f "$IMAGE_FORMAT" -O $target if="$IMAGE" of=out $operands
        [ "$status" -eq 0 ] || continue
        img info -f $target out | grep virtual
        img map -f $target --output=json out
        sum=$("$QEMU_IMG" convert -f $target -O raw out flat && sha256sum <flat)
        echo "$sum"
    done
done

say "wrong ways"
img dd
img dd if="$IMAGE"
img dd of=out
img dd if=missing of=out
img dd if="$IMAGE" of=/nonexistent/out
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out bs=0
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out bs=-1
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out bs=nonsense
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out bs=
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out bs=2G
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out count=-1
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out skip=nonsense
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out nonsense=1
img dd -f "$IMAGE_FORMAT" if="$IMAGE" of=out nonsense
img dd -f nonsense if="$IMAGE" of=out
img dd -O nonsense if="$IMAGE" of=out
img dd --image-opts if=driver="$IMAGE_FORMAT",file.filename="$IMAGE" of=out
img dd -U -f "$IMAGE_FORMAT" if="$IMAGE" of=out
img dd -n -f "$IMAGE_FORMAT" if="$IMAGE" of=out
