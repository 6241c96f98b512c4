#!/usr/bin/env bash
# title: hostile qcow2 headers
# breaks: a forged header makes a consumer crash, spend or read what it should not
# groups: hostile info
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 good 1M
quiet io -f qcow2 -c 'write -P 1 0 64k' good
quiet img create -f qcow2 -o compat=0.10 old 1M

# Each image has one fault: fault WHAT SIZE OFFSET VALUE
fault() {
    say "$1"
    cp "${from:-good}" "$IMAGE"
    "poke$2" "$IMAGE" "$3" "$4"
    before=$(cksum <"$IMAGE")
    img info -f qcow2 "$IMAGE" | grep -E '^(image|virtual|qemu-img|stderr|exit)'
    io -r -f qcow2 -c 'read 0 512' "$IMAGE"
    [ "$before" = "$(cksum <"$IMAGE")" ] || echo "the file was changed"
}

fault "magic" 32 0 0x514649fa
fault "version 1" 32 4 1
fault "version 4" 32 4 4
fault "version 2 with a version 3 body" 32 4 2
fault "cluster_bits 8" 32 20 8
fault "cluster_bits 22" 32 20 22
fault "cluster_bits 63" 32 20 63
fault "virtual size 2^63" 64 24 0x8000000000000000
fault "virtual size 2^64-1" 64 24 0xffffffffffffffff
fault "virtual size too large for its L1 table" 64 24 0x10000000000
fault "crypt_method 3" 32 32 3
fault "crypt_method 2 without a header" 32 32 2
fault "l1_size 0" 32 36 0
fault "l1_size too large" 32 36 0x7fffffff
fault "l1_size of 32 MiB and one more" 32 36 $((32 * 1024 * 1024 / 8 + 1))
fault "L1 offset not aligned" 64 40 0x30200
fault "L1 offset 2^63" 64 40 0x8000000000000000
fault "L1 offset behind the end" 64 40 0x10000000
fault "refcount table offset not aligned" 64 48 0x10200
fault "refcount table offset 2^63" 64 48 0x8000000000000000
fault "refcount table clusters 0" 32 56 0
fault "refcount table too large" 32 56 0x7fffffff
fault "refcount table one cluster too large" 32 56 129
fault "snapshots: too many" 32 60 65537
fault "snapshot table offset not aligned" 64 64 0x200
fault "unknown incompatible feature" 64 72 0x100000
fault "two unknown incompatible features" 64 72 0x8000000000000100
fault "unknown compatible feature" 64 80 0x100000
fault "unknown autoclear feature" 64 88 0x100000
fault "refcount order 7" 32 96 7
fault "header length 103" 32 100 103
fault "header length 100" 32 100 100
fault "header length 105" 32 100 105
fault "header length larger than a cluster" 32 100 0x20000
poke32 good 16 1
fault "backing file name behind the first cluster" 64 8 0x10000
fault "backing file name of a length that can't be" 64 8 0xffff
poke32 good 16 1024
fault "backing file name too long" 64 8 0x200
poke32 good 16 0

say "an extension that is longer than the cluster, one that is not known, a backing format that is too long"
cp good "$IMAGE"
poke32 "$IMAGE" 112 0x12345678
poke32 "$IMAGE" 116 0x7fffffff
img info -f qcow2 "$IMAGE" | head -n 2
poke32 "$IMAGE" 116 0x180
img info -f qcow2 "$IMAGE" | head -n 2
poke32 "$IMAGE" 112 0xe2792aca
poke32 "$IMAGE" 116 16
img info -f qcow2 "$IMAGE" | head -n 2

say "an unknown compression type, with and without its bit"
cp good "$IMAGE"
poke "$IMAGE" 104 '\x01'
img info -f qcow2 "$IMAGE" | head -n 2
poke64 "$IMAGE" 72 8
poke "$IMAGE" 104 '\x00'
img info -f qcow2 "$IMAGE" | head -n 2
poke "$IMAGE" 104 '\x02'
img info -f qcow2 "$IMAGE" | head -n 2

from=old
fault "version 2: crypt_method 3" 32 32 3
fault "version 2: cluster_bits 8" 32 20 8
fault "version 2: l1_size 0" 32 36 0

say "cut off"
for length in 0 3 4 71 72 103 104 511 512 65536 131072 196607; do
    head -c "$length" good >"$IMAGE"
    img info -f qcow2 "$IMAGE" | head -n 2
    io -r -f qcow2 -c 'read 0 512' "$IMAGE"
done
