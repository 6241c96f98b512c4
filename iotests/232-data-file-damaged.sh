#!/usr/bin/env bash
# title: broken mappings and feature bits of images with a data file
# breaks: bytes are taken from the wrong place of the data file without a word
# groups: hostile check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# 8 bytes, in hexadecimal, at an offset.
poke() {
    printf '%s' "$2" | xxd -r -p | dd of="$IMAGE" bs=1 seek="$1" conv=notrunc status=none
}

fresh() {
    quiet img create -f qcow2 -o data_file=data "$IMAGE" 512k
    quiet io -f qcow2 -c 'write -P 1 0 128k' "$IMAGE"
}

say "a cluster at the wrong place"
fresh
poke 262152 8000000000040000
io -r -f qcow2 -c 'read -P 1 0 4k' -c 'read 70k 4k' -c 'read 66k 4k' "$IMAGE"
img map --output=json "$IMAGE"
img check "$IMAGE"
img convert -f qcow2 -O raw "$IMAGE" flat
io -f qcow2 -c 'read 70k 4k' -c 'read 0 4k' "$IMAGE"
img info "$IMAGE"

say "compressed, and without the flag"
fresh
poke 262160 4000000000040000
poke 262168 0000000000030000
img check "$IMAGE"
io -r -f qcow2 -c 'read 128k 64k' -c 'read 192k 64k' "$IMAGE"
io -f qcow2 -c 'write -P 3 192k 4k' -c 'read -P 3 192k 4k' "$IMAGE"
img check "$IMAGE"

say "unaligned"
fresh
poke 262160 8000000000020200
img check "$IMAGE"
io -r -f qcow2 -c 'read 128k 64k' "$IMAGE"
io -f qcow2 -c 'write 128k 4k' "$IMAGE"

say "raw without a data file"
fresh
poke 72 0000000000000000
poke 88 0000000000000002
img info "$IMAGE"
img map "$IMAGE"
img check "$IMAGE"

say "no name"
fresh
poke 112 00000001
img info "$IMAGE"
img map "$IMAGE"
