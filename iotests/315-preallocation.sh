#!/usr/bin/env bash
# title: preallocation at creation
# breaks: space that was promised is not there, or a new disk does not read as zeros
# groups: preallocate create map
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for mode in off metadata falloc full nonsense ''; do
    for size in 1M 100k 0; do
        say "$mode, $size"
        rm -f "$IMAGE"
        if [ "$IMAGE_FORMAT" = luks ]; then
            img create --object secret,id=s,data=geheim -f luks -o "key-secret=s,iter-time=10,preallocation=$mode" "$IMAGE" $size
        else
            img create -f "$IMAGE_FORMAT" -o "preallocation=$mode" "$IMAGE" $size
        fi
            [ "$status" -eq 0 ] || continue
        length_of "$IMAGE"
        image_at "$IMAGE"
        img map --output=json "${at[@]}"
        if [ "$IMAGE_FORMAT" = qcow2 ]; then
            img check "$IMAGE"
            layout "$IMAGE"
        fi
        if [ "$IMAGE_FORMAT" != luks ]; then
            on "$IMAGE" "read -P 0 0 $size"
        fi
    done
done
