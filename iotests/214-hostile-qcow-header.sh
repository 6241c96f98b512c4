#!/usr/bin/env bash
# title: hostile qcow headers
# breaks: a forged header makes a consumer crash, spend or read what it should not
# groups: hostile info
# formats: qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow good 1M
quiet io -f qcow -c 'write -P 1 0 64k' good

fault() {
    say "$1"
    cp good "$IMAGE"
    "poke$2" "$IMAGE" "$3" "$4"
    before=$(cksum <"$IMAGE")
    img info -f qcow "$IMAGE" | grep -E '^(image|virtual|qemu-img|stderr|exit)'
    io -r -f qcow -c 'read 0 512' "$IMAGE"
    [ "$before" = "$(cksum <"$IMAGE")" ] || echo "the file was changed"
}

fault "magic" 32 0 0x514649fa
fault "version 2" 32 4 2
fault "version 0" 32 4 0
fault "backing file name too long" 32 16 1024
fault "size 0" 64 24 0
fault "size 1" 64 24 1
fault "size 2^63" 64 24 0x8000000000000000
fault "size 2^64-1" 64 24 0xffffffffffffffff
fault "cluster_bits 8" 8 32 8
fault "cluster_bits 17" 8 32 17
fault "cluster_bits 255" 8 32 255
fault "l2_bits 5" 8 33 5
fault "l2_bits 14" 8 33 14
fault "l2_bits 255" 8 33 255
fault "crypt_method 2" 32 36 2
fault "L1 table behind the end" 64 40 0x10000000
fault "L1 entry behind the end" 64 48 0x10000000
fault "L1 entry that is the header" 64 48 1

say "cut off"
for length in 0 4 47 48 100 4096 8192; do
    head -c "$length" good >"$IMAGE"
    img info -f qcow "$IMAGE" | head -n 2
    io -r -f qcow -c 'read 0 512' "$IMAGE"
done
