#!/usr/bin/env bash
# title: what no text says about qcow version 1
# breaks: an image of the tools is refused, or read at other places than it was written
# groups: create info compress encrypt
# formats: qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "75: small sizes"
img create -q -f qcow "$IMAGE" 0
for size in 1 2 511 512 513; do
    img create -q -f qcow "$IMAGE" $size
    number "$IMAGE" 24 8
done
for size in 0 1 2 511 512; do
    quiet img create -f qcow "$IMAGE" 64k
    poke64 "$IMAGE" 24 $size
    io -f qcow -c length "$IMAGE"
done

say "78: the length of compressed data counts bytes"
quiet img create -f qcow "$IMAGE" 64k
quiet io -f qcow -c 'write -c -P 0x41 0 4k' "$IMAGE"
table=$(number "$IMAGE" 48 8)
entry=$(number "$IMAGE" "$table" 8)
# Bit 63, 12 bits of length, 51 of offset in clusters of 4 KiB.
length=$(((entry >> 51) & 4095))
[ "$length" -gt 0 ] && [ "$length" -lt 100 ] && echo "less than a sector"
io -f qcow -c 'read -P 0x41 0 4k' "$IMAGE"

say "79: tables may lie anywhere, data in sectors"
quiet img create -f qcow "$IMAGE" 64k
quiet io -f qcow -c 'write -P 0x41 0 4k' "$IMAGE"
dd if="$IMAGE" of=table bs=1 skip=48 count=8 status=none
truncate -s 64k "$IMAGE"
dd if=table of="$IMAGE" bs=1 seek=60001 conv=notrunc status=none
poke64 "$IMAGE" 40 60001
io -f qcow -c 'read -P 0x41 0 4k' "$IMAGE"

say "81: a name of the encryption that only create takes"
object=(--object secret,id=sec0,data=astrochicken)
img create -q -f qcow "${object[@]}" -o encrypt.format=qcow,encrypt.key-secret=sec0 "$IMAGE" 64k
io "${object[@]}" --image-opts -c 'read 0 512' "driver=qcow,file.filename=$IMAGE,encrypt.key-secret=sec0,encrypt.format=qcow"
io "${object[@]}" --image-opts -c 'read 0 512' "driver=qcow,file.filename=$IMAGE,encrypt.key-secret=sec0,encrypt.format=aes"

say "12: legacy AES is written too"
io "${object[@]}" --image-opts -c 'write -P 0x41 0 4k' -c 'read -P 0x41 0 4k' "driver=qcow,file.filename=$IMAGE,encrypt.key-secret=sec0"
