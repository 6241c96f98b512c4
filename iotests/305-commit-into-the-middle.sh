#!/usr/bin/env bash
# title: commit into an image further down
# breaks: commit -b reaches the wrong layer, or what lies above changes
# groups: commit backing
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    rm -f l0 l1 l2 l3
    make l0 512k
    make l1 512k -b l0 -F "$IMAGE_FORMAT"
    make l2 512k -b l1 -F "$IMAGE_FORMAT"
    make l3 512k -b l2 -F "$IMAGE_FORMAT"
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 10 0 512k' l0
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 11 64k 128k' l1
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 12 128k 128k' l2
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 13 192k 64k' -c 'write -z 320k 64k' l3
    quiet img convert -f "$IMAGE_FORMAT" -O raw l3 flat
}

state() {
    for layer in l0 l1 l2 l3; do
        layers $layer
    done
    img compare -f raw -F "$IMAGE_FORMAT" flat l3
}

for base in l2 l1 l0; do
    say "-b $base"
    fresh
    img commit -f "$IMAGE_FORMAT" -b "$base" l3
    state
    say "-b $base -d"
    fresh
    img commit -f "$IMAGE_FORMAT" -d -b "$base" l3
    state
done

say "the middle itself is committed"
fresh
img commit -f "$IMAGE_FORMAT" l2
state
img commit -f "$IMAGE_FORMAT" -p l2
img commit -f "$IMAGE_FORMAT" -q l2

say "wrong bases"
fresh
img commit -f "$IMAGE_FORMAT" -b l3 l3
img commit -f "$IMAGE_FORMAT" -b missing l3
img commit -f "$IMAGE_FORMAT" -b flat l3
img commit -f "$IMAGE_FORMAT" -b l3 l2
img commit -f "$IMAGE_FORMAT" l0
img commit -f "$IMAGE_FORMAT" -b l0 l0
img commit -f raw l3
img commit -f "$IMAGE_FORMAT" missing
img commit -f "$IMAGE_FORMAT" -t nonsense l3
img commit -f "$IMAGE_FORMAT" -r nonsense l3
img commit -f "$IMAGE_FORMAT" -r 0 l3
img commit -f "$IMAGE_FORMAT" -r 100M l3
img commit
img commit l3 l2
