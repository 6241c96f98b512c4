#!/usr/bin/env bash
# title: subclusters: damaged bitmaps
# breaks: a hostile image is believed, or a repair says or does something else
# groups: extl2 check hostile
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# damage INDEX WORD BITMAP
damage() {
    local table
    cp sound "$IMAGE"
    table=$(($(number "$IMAGE" "$(number "$IMAGE" 40 8)" 8) & 0x00fffffffffffe00))
    poke64 "$IMAGE" $((table + $1 * 16)) "$2"
    poke64 "$IMAGE" $((table + $1 * 16 + 8)) "$3"
    cp "$IMAGE" damaged
}

judge() {
    say "$1"
    damage "$2" "$3" "$4"
    img check -f qcow2 "$IMAGE"
    io -r -f qcow2 -c 'read 10k 2k' -c 'read 64k 64k' -c 'read 128k 64k' -c 'read 192k 64k' "$IMAGE"
    img map -f qcow2 --output=json "$IMAGE"
    io -f qcow2 -c 'write 10k 2k' -c 'write 65k 1k' -c 'write 192k 1k' "$IMAGE"
    peek "$IMAGE" 72 8
    cp damaged "$IMAGE"
    io -f qcow2 -c 'write -z 12k 2k' -c 'write -z 64k 64k' -c 'discard 192k 64k' "$IMAGE"
    extended_entries "$IMAGE"
    cp damaged "$IMAGE"
    img check -f qcow2 -r leaks "$IMAGE"
    img check -f qcow2 -r all "$IMAGE"
    extended_entries "$IMAGE"
}

quiet img create -f qcow2 -o extended_l2=on "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 64k' -c 'write -P 2 64k 4k' -c 'write -c -P 3 128k 64k' "$IMAGE"
mv "$IMAGE" sound

judge "data and zeros at once" 0 0x8000000000050000 0x000000010000000f
judge "data without a place" 3 0 0x000000000000000f
judge "zeros and data without a place" 3 0 0xffffffff00000001
judge "a compressed cluster with subclusters" 2 0x4000000000070000 0x00000000ffffffff
judge "a place inside a cluster" 1 0x8000000000060200 0x0000000000000003
judge "a place inside a cluster, nothing but zeros" 1 0x8000000000060200 0xffffffff00000000
judge "a place inside a cluster, nothing at all" 1 0x8000000000060200 0
judge "a place behind the end of the file" 1 0x8000000000100000 0x0000000000000003
judge "bit 0 is no zero flag" 1 0x8000000000060001 0x0000000000000003
judge "reserved bits" 1 0x9000000000060010 0x0000000000000003
judge "not counted as its own" 1 0x0000000000060000 0x0000000000000003
