#!/usr/bin/env bash
# title: compressed clusters that are overwritten
# breaks: a write into a compressed cluster loses its neighbours
# groups: compress rw map
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make base 512k
quiet io -f "$IMAGE_FORMAT" -c 'write -P 7 0 512k' base
for backing in none base; do
    say "backing $backing"
    rm -f "$IMAGE"
    if [ $backing = none ]; then
        make "$IMAGE" 512k
    else
        make "$IMAGE" 512k -b base -F "$IMAGE_FORMAT"
    fi
    io_commands "$IMAGE" 'write -c -P 1 0 64k' 'write -c -P 2 64k 64k' 'write -c -P 3 192k 64k'
    io_commands "$IMAGE" 'write -P 9 10k 1k' 'read -P 1 0 10k' 'read -P 9 10k 1k' 'read -P 1 11k 53k'
    io_commands "$IMAGE" 'write -P 9 64k 64k' 'read -P 9 64k 64k' 'read -v 131072 16'
    io_commands "$IMAGE" 'write -c -P 4 384k 64k' 'write -c -P 5 448k 64k' 'read -P 4 384k 64k' 'read -P 5 448k 64k'
    img map --output=json -f "$IMAGE_FORMAT" "$IMAGE"
    img check -f "$IMAGE_FORMAT" "$IMAGE"
    img convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" plain
    img compare -f raw -F "$IMAGE_FORMAT" plain "$IMAGE"
done

say "sizes that can't be compressed"
io_commands "$IMAGE" 'write -c 0 512' 'write -c 1k 64k' 'write -c 256k 1M' 'write -c 480k 64k' 'write -c -P 1 256k 4k'
say "random data"
noise 65536 >noise
io_commands "$IMAGE" 'write -c -s noise 256k 64k' 'read -v 262144 32'
img map --output=json -f "$IMAGE_FORMAT" "$IMAGE"
