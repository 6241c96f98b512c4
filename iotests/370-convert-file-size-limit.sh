#!/usr/bin/env bash
# title: an image made on the way to something else does not fit (ulimit -f)
# breaks: convert and dd speak of the format where the file is what is too small
# groups: convert create errors
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 10M
(
    ulimit -f 4000
    say "raw"
    img convert -O raw "$IMAGE" other
    img convert -O raw -o preallocation=falloc "$IMAGE" other
    img dd -O raw if="$IMAGE" of=other
    say "qcow2"
    for mode in metadata falloc full; do
        img convert -O qcow2 -o preallocation="$mode" "$IMAGE" other
    done
    say "create"
    img create -f raw other 10M
    img create -f qcow2 -o preallocation=falloc other 10M
)
