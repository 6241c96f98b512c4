#!/usr/bin/env bash
# title: commit while another process uses a layer
# breaks: somebody else's image is changed, or the words say that there is nothing to commit
# groups: locks commit errors
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make base 1M
quiet img create -f "$IMAGE_FORMAT" -b base -F "$IMAGE_FORMAT" "$IMAGE"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 1 0 64k' "$IMAGE"

for switches in -r '-r -U'; do
    say "the backing file is read: $switches"
    # shellcheck disable=SC2086
    hold $switches -f "$IMAGE_FORMAT" base
    img commit -f "$IMAGE_FORMAT" "$IMAGE"
    img commit -f "$IMAGE_FORMAT" base
    img commit -f "$IMAGE_FORMAT" -b base "$IMAGE"
    let_go

    say "the overlay is read: $switches"
    # shellcheck disable=SC2086
    hold $switches -f "$IMAGE_FORMAT" "$IMAGE"
    img commit -f "$IMAGE_FORMAT" "$IMAGE"
    img commit -f "$IMAGE_FORMAT" -b nope "$IMAGE"
    let_go
done

say "nobody is there"
img commit -f "$IMAGE_FORMAT" "$IMAGE"
io_commands base 'read -P 1 0 64k' 'read -P 0 64k 960k'
