#!/usr/bin/env bash
# title: several images in a row become one
# breaks: pieces are joined at the wrong place
# groups: convert
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make a 300k
make b 200k
make c 512
on a 'write -P 1 0 300k'
on b 'write -P 2 100k 100k'
on c 'write -P 3 0 512'
for target in raw qcow qcow2; do
    say "to $target"
    img convert -f "$IMAGE_FORMAT" -O $target a b c out
    img info -f $target out | grep virtual
    io -f $target -c 'read -P 1 0 300k' -c 'read -P 0 300k 100k' -c 'read -P 2 400k 100k' -c 'read -P 3 500k 512' out
    img convert -f "$IMAGE_FORMAT" -O $target c b a b out
    img map -f $target --output=json out
    if [ $target != raw ]; then
        img convert -c -f "$IMAGE_FORMAT" -O $target a b c out
        img map -f $target --output=json out
        io -f $target -c 'read -P 1 0 300k' -c 'read -P 0 300k 100k' -c 'read -P 2 400k 100k' -c 'read -P 3 500k 512' out
    fi
done
img convert -f "$IMAGE_FORMAT" -l x -O raw a b out
img convert -f "$IMAGE_FORMAT" -O qcow2 -B c -F "$IMAGE_FORMAT" a b out
img convert -f "$IMAGE_FORMAT" --bitmaps -O qcow2 a b out
img convert -n -f "$IMAGE_FORMAT" -O raw a b c
