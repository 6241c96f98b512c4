#!/usr/bin/env bash
# title: map looks into a file that is emptier than its refcounts
# breaks: a preallocated image is copied in full, or a hole's neighbours are lost
# groups: map
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

maps() {
    img map -f qcow2 "$1"
    img map -f qcow2 --output=json "$1"
}

# A hole where the cluster number $1 of the file is, $2 clusters long.
punch() {
    fallocate -p -o $(($1 * 65536)) -l $(($2 * 65536)) "$IMAGE" 2>/dev/null || skip "holes can't be punched here"
}

say "preallocated, nothing written"
quiet img create -f qcow2 -o preallocation=metadata "$IMAGE" 4M
maps "$IMAGE"

say "preallocated, written in places"
quiet io -f qcow2 -c 'write -P 1 128k 64k' -c 'write -P 2 300k 4k' -c 'write -z 1M 64k' "$IMAGE"
maps "$IMAGE"
img measure -f qcow2 -O qcow2 "$IMAGE"
quiet img convert -f qcow2 -O qcow2 "$IMAGE" copy
img map -f qcow2 --output=json copy
img compare -f qcow2 -F qcow2 "$IMAGE" copy
img check -f qcow2 "$IMAGE"

say "holes in what was written"
quiet img create -f qcow2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 5 0 512k' "$IMAGE"
maps "$IMAGE"
punch 5 1
maps "$IMAGE"
quiet io -f qcow2 -c 'write -P 5 0 512k' "$IMAGE"
punch 7 3
maps "$IMAGE"

say "a file that ends too early"
quiet img create -f qcow2 -o preallocation=metadata "$IMAGE" 4M
truncate -s 1M "$IMAGE"
maps "$IMAGE"
quiet img convert -f qcow2 -O raw "$IMAGE" flat
img compare -f qcow2 -F raw "$IMAGE" flat
