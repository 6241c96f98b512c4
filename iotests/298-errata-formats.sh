#!/usr/bin/env bash
# title: where the published text of qcow2 is silent, or laxer than it says
# breaks: an image that the tools take is refused, or what they leave alone is thrown away
# groups: create info check snapshot compress amend
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fresh() {
    quiet img create -f qcow2 ${2:+-o "$2"} "$IMAGE" "${1:-64M}"
}

written() {
    fresh 64M "${1:-}"
    quiet io -f qcow2 -c 'write -P 0x41 0 192k' "$IMAGE"
}

io2() {
    io -f qcow2 -c "$1" "$IMAGE"
}

# Type and data of two extensions that nobody knows, in place of all others.
unknown_extensions() {
    poke32 "$IMAGE" 112 0x11111111
    poke32 "$IMAGE" 116 8
    poke "$IMAGE" 120 'AAAAAAAA'
    poke32 "$IMAGE" 128 0x22222222
    poke32 "$IMAGE" 132 8
    poke "$IMAGE" 136 'BBBBBBBB'
    poke64 "$IMAGE" 144 0
}

say "34: no end of the extensions in front of a backing file's name"
quiet img create -f qcow2 base.qcow2 64M
quiet img create -f qcow2 -b base.qcow2 -F qcow2 "$IMAGE"
# Format (8 + 8 bytes, padded), and the name at once: no room for an end.
poke32 "$IMAGE" 112 0xe2792aca
poke32 "$IMAGE" 116 5
poke "$IMAGE" 120 'qcow2\0\0\0'
poke64 "$IMAGE" 8 128
poke "$IMAGE" 128 'base.qcow2'
img info -f qcow2 "$IMAGE" | grep backing
io2 'read -P 0 0 64k'

say "35, 45: what nobody knows is kept, in the other order; autoclear bits go, but not when only read"
fresh
unknown_extensions
poke64 "$IMAGE" 80 0x100
poke64 "$IMAGE" 88 0x100
quiet io -r -f qcow2 -c 'read 0 512' "$IMAGE"
peek "$IMAGE" 72 24
quiet io -f qcow2 -c 'write -P 1 0 512' "$IMAGE"
peek "$IMAGE" 72 24
# Behind the names of the features, which come first.
peek "$IMAGE" $((112 + 8 + 384)) 32

say "41: names of features, with larger clusters only; names of one's own are replaced"
fresh 64M cluster_size=4k
number "$IMAGE" 112 4
fresh
printf '%x\n' "$(number "$IMAGE" 112 4)"
poke "$IMAGE" 122 'my own name'
poke64 "$IMAGE" 88 0x100
quiet io -f qcow2 -c 'write -P 1 0 512' "$IMAGE"
peek "$IMAGE" 122 16

say "42: a data file's name without its bit"
fresh
poke32 "$IMAGE" 112 0x44415441
poke32 "$IMAGE" 116 4
poke "$IMAGE" 120 'gone\0\0\0\0'
poke64 "$IMAGE" 128 0
img info -f qcow2 "$IMAGE" | grep 'data file'
io2 'read -P 0 0 64k'

say "48: tables at offset 0"
fresh
poke64 "$IMAGE" 40 0
io2 'length'
fresh
poke64 "$IMAGE" 48 0
io2 'length'

say "51: the zero flag beside subclusters"
fresh 1M extended_l2=on
quiet io -f qcow2 -c 'write -P 0x41 0 64k' "$IMAGE"
poke8 "$IMAGE" $((0x40007)) 1
io2 'read -P 0x41 0 64k'

say "54: compressed data lies byte behind byte"
fresh
quiet io -f qcow2 -c 'write -c -P 1 0 64k' -c 'write -c -P 2 64k 64k' -c 'write -c -P 3 128k 64k' "$IMAGE"
first=$(($(number "$IMAGE" $((0x40000)) 8) & 0xfffffff))
echo "first cluster at $((first % 65536)) of a cluster"
for entry in 0x40008 0x40010; do
    next=$(($(number "$IMAGE" $((entry)) 8) & 0xfffffff))
    [ $((next - first)) -lt 512 ] && echo "the next one in the same sector"
    first=$next
done
io2 'read -P 3 128k 64k'

say "56: a cluster that is there is not compressed"
written
io2 'write -c -P 1 0 64k'
io2 'write -c -P 1 1M 64k'
io2 'write -c -P 2 1M 64k'

say "57: a snapshot of version 3 with less than 16 bytes of extra data"
written
quiet img snapshot -c one "$IMAGE"
table=$(number "$IMAGE" 64 8)
# No extra data: what stood behind it moves to the front. Id, name.
poke32 "$IMAGE" $((table + 36)) 0
poke "$IMAGE" $((table + 40)) '1one\0\0\0\0'
img snapshot -l "$IMAGE" | grep -c one
img check -f qcow2 "$IMAGE"

say "63: a count behind the end of the file"
written
poke16 "$IMAGE" $((0x20000 + 2 * 20)) 1
img check -f qcow2 "$IMAGE"

say "66: smaller, then larger: the rest of the last cluster comes back"
fresh 100k
quiet io -f qcow2 -c 'write -P 1 0 100k' "$IMAGE"
quiet img resize --shrink "$IMAGE" 70k
quiet img resize "$IMAGE" 100k
io2 'read -P 1 70k 30k'

say "67: a discard where nothing is makes a table"
fresh
io2 'discard 0 64k'
number "$IMAGE" $((0x30000)) 8

say "69: bitmaps are dropped on the way to version 2"
fresh
quiet img bitmap --add "$IMAGE" b0
img amend -f qcow2 -o compat=0.10 "$IMAGE"
img info -f qcow2 "$IMAGE" | grep -E 'compat|bitmap'

say "70: a repair of leaks clears the dirty and the corrupt bit"
written
poke8 "$IMAGE" 79 3
img check -r leaks -f qcow2 "$IMAGE"
number "$IMAGE" 72 8

say "71: a data file that is there loses what it holds"
printf 'precious' >data
quiet img create -f qcow2 -o data_file=data "$IMAGE" 64k
peek data 0 8
