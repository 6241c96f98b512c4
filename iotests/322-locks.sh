#!/usr/bin/env bash
# title: locks between processes
# breaks: two writers get hold of one image, or a reader is turned away
# groups: locks errors
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
image_at "$IMAGE"

tries() {
    img info "${at[@]}"
    img info -U "${at[@]}" | grep 'virtual size'
    io -c 'read 0 512' "${at[@]}"
    io -r -c 'read 0 512' "${at[@]}"
    io -r -U -c 'read 0 512' "${at[@]}"
    io -U -c 'write 0 512' "${at[@]}"
    img map "${at[@]}" | head -n 1
    img map -U "${at[@]}" | head -n 1
    img check "${at[@]}"
    img check -U "${at[@]}"
    img check -r all "${at[@]}"
    img resize "${at[@]}" 2M
    img convert "${at[@]}" -O raw out
    img convert -U "${at[@]}" -O raw out
    img compare "${at[@]}" "$IMAGE"
    img snapshot -l "${at[@]}"
    img snapshot -U -l "${at[@]}"
    img snapshot -c x "${at[@]}"
    img bench -c 1 -s 512 "${at[@]}" | tail -n 0
    img measure "${at[@]}"
    img measure -U "${at[@]}"
}

say "another one writes"
hold "${at[@]}"
tries
let_go

say "another one reads"
hold -r "${at[@]}"
tries
let_go

say "nobody"
io -c 'write 0 512' "${at[@]}"

say "create over an image in use"
hold "${at[@]}"
make "$IMAGE" 1M
let_go
