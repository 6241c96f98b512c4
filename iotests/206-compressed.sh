#!/usr/bin/env bash
# title: compressed clusters
# breaks: a compressed cluster is unpacked wrongly, or lost when it is overwritten
# groups: compress convert
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f raw plain.raw 1M
quiet io -f raw -c 'write -P 1 0 200k' -c 'write -P 2 300k 100k' -c 'write -P 3 700k 5' -c 'write -P 4 1020k 4k' plain.raw
# Bytes that no codec makes shorter.
noise 20480 >noise
dd if=noise of=plain.raw bs=512 seek=900 count=40 conv=notrunc status=none

check() {
    [ "$IMAGE_FORMAT" = qcow2 ] && img check -f qcow2 "$1"
    img compare -f "$IMAGE_FORMAT" -F raw "$1" plain.raw
}

say "convert -c"
img convert -c -f raw -O "$IMAGE_FORMAT" plain.raw "$IMAGE"
check "$IMAGE"
img map -f "$IMAGE_FORMAT" --output=json "$IMAGE" | sed 's/, "offset": [0-9]*//'
img map -f "$IMAGE_FORMAT" "$IMAGE"

say "overwrite a part of a compressed cluster, then a whole one"
for command in 'write -P 5 1000 3000' 'write -P 6 64k 64k' 'write -P 7 310k 1'; do
    io_commands "$IMAGE" "$command"
    quiet io -f raw -c "$command" plain.raw
done
check "$IMAGE"

say "out of it again"
img convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" out.raw
same_bytes out.raw plain.raw
img convert -c -f "$IMAGE_FORMAT" -O "$IMAGE_FORMAT" "$IMAGE" again
check again

say "qemu-io writes one"
img create -f "$IMAGE_FORMAT" "$IMAGE" 256k
io_commands "$IMAGE" 'write -c -P 8 0 64k' 'read -P 8 0 64k'
io_commands "$IMAGE" 'write -c -P 9 64k 32k' 'write -c -P 9 1000 512'
io_commands "$IMAGE" 'write -c -P 9 0 64k' 'read -P 8 0 64k'

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    for options in compression_type=zlib compression_type=zstd compression_type=zstd,cluster_size=512 cluster_size=512 cluster_size=2M \
        compat=0.10 compression_type=zstd,cluster_size=2M; do
        say "$options"
        img convert -c -f raw -O qcow2 -o "$options" plain.raw "$IMAGE"
        img compare -f qcow2 -F raw "$IMAGE" plain.raw
        img info "$IMAGE" | grep -E 'compression|incompat'
        img snapshot -c one "$IMAGE"
        io_commands "$IMAGE" 'write -P 10 0 128k' 'read -P 10 0 128k' 'discard 300k 100k'
        img snapshot -a one "$IMAGE"
        img compare -f qcow2 -F raw "$IMAGE" plain.raw
        img snapshot -d one "$IMAGE"
    done
    say "over a base"
    quiet img create -f qcow2 -b plain.raw -F raw "$IMAGE"
    io_commands "$IMAGE" 'write -c -P 11 0 64k' 'write -P 12 1k 1k' 'read -P 11 0 1k' 'read -P 12 1k 1k' 'read -P 11 2k 62k'
    say "encrypted ones can't be"
    img convert -c --object secret,id=s,data=x -f raw -O qcow2 -o encrypt.format=aes,encrypt.key-secret=s plain.raw "$IMAGE"
    img convert -c -f raw -O raw plain.raw out.raw
    img convert -c -f raw -O qcow2 -o preallocation=metadata plain.raw "$IMAGE"
fi
