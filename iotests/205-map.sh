#!/usr/bin/env bash
# title: map, as text and as JSON
# breaks: a script that copies an image by its map copies the wrong bytes, or too many
# groups: map
# formats: raw qcow2 qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

maps() {
    img map -f "$IMAGE_FORMAT" "$@"
    img map -f "$IMAGE_FORMAT" --output=json "$@"
}

say "nothing in it"
quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
maps "$IMAGE"

say "data at both ends"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 1 0 64k' -c 'write -P 2 960k 64k' "$IMAGE"
maps "$IMAGE"

say "data that touches data"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 3 64k 64k' -c 'write -P 4 832k 128k' "$IMAGE"
maps "$IMAGE"

say "a part of it"
img map -f "$IMAGE_FORMAT" --output=json --start-offset=32k --max-length=64k "$IMAGE"
img map -f "$IMAGE_FORMAT" --output=json --start-offset=32k "$IMAGE"
img map -f "$IMAGE_FORMAT" --output=json --max-length=100k "$IMAGE"
img map -f "$IMAGE_FORMAT" -s 1M "$IMAGE"
img map -f "$IMAGE_FORMAT" --output=json -s 2M "$IMAGE"
img map -f "$IMAGE_FORMAT" --output=json -l 0 "$IMAGE"

say "wrong ways to ask"
img map -f "$IMAGE_FORMAT" --output=yaml "$IMAGE"
img map -f "$IMAGE_FORMAT" --start-offset=nonsense "$IMAGE"
img map -f "$IMAGE_FORMAT" --max-length=-1 "$IMAGE"
img map -f "$IMAGE_FORMAT"
img map -f "$IMAGE_FORMAT" missing
img map -f nonsense "$IMAGE"

if [ "$IMAGE_FORMAT" != raw ]; then
    say "a chain of three"
    quiet img create -f "$IMAGE_FORMAT" -b "$IMAGE" -F "$IMAGE_FORMAT" middle
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 5 64k 4k' -c 'write -P 5 256k 64k' middle
    quiet img create -f "$IMAGE_FORMAT" -b middle -F "$IMAGE_FORMAT" top 1152k
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 6 256k 4k' -c 'write -P 6 900k 64k' top
    maps top
    maps middle
    io_commands top map alloc 'alloc 256k 64k' 'alloc 0 1' 'alloc 1M 64k'
fi

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "zero clusters, with and without a place in the file"
    quiet io -f qcow2 -c 'write -z 256k 64k' -c 'write -z -u 320k 64k' -c 'write -z 64k 64k' -c 'discard 900k 64k' top
    maps top
    say "preallocated"
    quiet img create -f qcow2 -o preallocation=metadata "$IMAGE" 256k
    maps "$IMAGE"
fi
