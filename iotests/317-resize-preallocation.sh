#!/usr/bin/env bash
# title: preallocation when a disk grows
# breaks: grown space is not there, or old data shows in it
# groups: resize preallocate
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for mode in off metadata falloc full nonsense; do
    say "$mode"
    rm -f "$IMAGE"
    make "$IMAGE" 500k
    on "$IMAGE" 'write -P 1 0 500k'
    image_at "$IMAGE"
    img resize --preallocation=$mode "${at[@]}" 1M
    length_of "$IMAGE"
    img map --output=json "${at[@]}"
    on "$IMAGE" 'read -P 1 0 500k' 'length'
    img resize --preallocation=$mode "${at[@]}" +1300k
    length_of "$IMAGE"
    img map --output=json "${at[@]}"
    img resize --shrink --preallocation=$mode "${at[@]}" 200k
    img resize --shrink "${at[@]}" 200k
    length_of "$IMAGE"
    img map --output=json "${at[@]}"
    [ "$IMAGE_FORMAT" = qcow2 ] && img check "$IMAGE"
done

say "sizes"
for size in +0 -0 0 +1 -1 -10G 1 511 513 +100 nonsense 1.5M 8E 7E 9223372036854775807 9223372036854775296 -9223372036854775808 '' ' 1M' 1M1 1k; do
    rm -f "$IMAGE"
    make "$IMAGE" 100k
    img resize "${at[@]}" "$size"
    img resize --shrink "${at[@]}" "$size"
    img info "${at[@]}" | grep virtual
    length_of "$IMAGE"
done
img resize
img resize 1M
img resize "${at[@]}"
img resize -q "${at[@]}" 2M
