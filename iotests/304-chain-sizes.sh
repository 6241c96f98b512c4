#!/usr/bin/env bash
# title: a chain of images with different sizes
# breaks: what lies behind a shorter layer's end shines through, or what should does not
# groups: backing map commit
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

chain() {
    rm -f base mid top
    make base "$1"
    make mid "$2" -b base -F "$IMAGE_FORMAT"
    make top "$3" -b mid -F "$IMAGE_FORMAT"
    quiet io -f "$IMAGE_FORMAT" -c "write -P 1 0 $1" base
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 2 64k 64k' mid
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 3 128k 64k' top
}

for sizes in '256k 256k 256k' '512k 192k 512k' '192k 512k 256k' '256k 384k 512k' '512k 384k 256k' '130k 260k 520k' '520k 260k 130k'; do
    say "$sizes"
    # shellcheck disable=SC2086
    chain $sizes
    img map --output=json -f "$IMAGE_FORMAT" top
    img map -f "$IMAGE_FORMAT" top
    size=${sizes##* }
    img convert -f "$IMAGE_FORMAT" -O raw top flat
    length_of flat
    img compare -f raw -F "$IMAGE_FORMAT" flat top
    on top "read -P 1 0 64k" "read -P 2 64k 64k" "read -v $((${size%k} * 1024 - 16)) 16"
    img commit -f "$IMAGE_FORMAT" top
    img compare -f raw -F "$IMAGE_FORMAT" flat mid
    layers mid
    img info -f "$IMAGE_FORMAT" mid | grep 'virtual size'
done
