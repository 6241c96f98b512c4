#!/usr/bin/env bash
# title: subclusters: convert, rebase, commit
# breaks: an image that is copied or merged loses subclusters
# groups: extl2 convert rebase commit
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 base 1M
quiet io -f qcow2 -c 'write -P 170 0 512k' base
quiet img create -f qcow2 other 1M
quiet io -f qcow2 -c 'write -P 187 256k 512k' other

top() {
    quiet img create -f qcow2 -o "extended_l2=on$1" -b base -F qcow2 "$IMAGE"
    quiet io -f qcow2 -c 'write -P 1 2k 2k' -c 'write -z 10k 4k' -c 'write -P 2 100k 100k' -c 'write -z -u 256k 64k' \
        -c 'write -P 3 700001 5' "$IMAGE"
}

reads() {
    io -f qcow2 -c 'read -P 170 0 2k' -c 'read -P 1 2k 2k' -c 'read -P 0 10k 4k' -c 'read -P 2 100k 100k' -c 'read -P 170 200k 56k' \
        -c 'read -P 0 256k 64k' -c 'read -P 170 320k 192k' -c 'read -P 3 700001 5' "$1"
}

say "convert"
top ''
quiet img convert -f qcow2 -O raw "$IMAGE" flat
quiet img convert -f qcow2 -O qcow2 -o extended_l2=on "$IMAGE" copy
reads copy
img compare -f qcow2 -F raw copy flat
quiet img convert -f raw -O qcow2 -o extended_l2=on,cluster_size=16k flat copy
img map -f qcow2 --output=json copy
quiet img convert -f qcow2 -O qcow2 -o extended_l2=on -B base -F qcow2 "$IMAGE" copy
img map -f qcow2 --output=json copy
quiet img convert -c -f qcow2 -O qcow2 -o extended_l2=on "$IMAGE" copy
img compare -f qcow2 -F raw copy flat
img check -f qcow2 copy
quiet img convert -f qcow2 -O qcow2 copy standard
img compare -f qcow2 -F raw standard flat

say "rebase"
img rebase -f qcow2 -b other -F qcow2 "$IMAGE"
img compare -f qcow2 -F raw "$IMAGE" flat
img check -f qcow2 "$IMAGE"
img rebase -f qcow2 -b '' "$IMAGE"
img compare -f qcow2 -F raw "$IMAGE" flat
top ''
img rebase -u -f qcow2 -b other -F qcow2 "$IMAGE"
io -f qcow2 -c 'read -P 1 2k 2k' -c 'read -P 0 4k 6k' -c 'read -P 187 320k 64k' "$IMAGE"

say "commit"
top ''
img commit -f qcow2 "$IMAGE"
reads base
extended_entries "$IMAGE"
img check -f qcow2 "$IMAGE"
img check -f qcow2 base
img compare -f qcow2 -F raw base flat
top ,cluster_size=16k
quiet img snapshot -c one "$IMAGE"
img commit -f qcow2 -d "$IMAGE"
img commit -f qcow2 "$IMAGE"
extended_entries "$IMAGE"
reads base
img check -f qcow2 "$IMAGE"
