#!/usr/bin/env bash
# title: where the published text of qcow2 and the tools disagree
# breaks: somebody trusts the text: an image that the tools take is refused, or one that they refuse is made
# groups: create info check snapshot
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# fresh [SIZE [OPTIONS]]: header, refcount table at 0x10000, its block at 0x20000, L1 table at 0x30000.
fresh() {
    quiet img create -f qcow2 ${2:+-o "$2"} "$IMAGE" "${1:-64M}"
}

# The same with three written clusters: L2 table at 0x40000, data from 0x50000 on.
written() {
    fresh 64M "${1:-}"
    quiet io -f qcow2 -c 'write -P 0x41 0 192k' "$IMAGE"
}

reads() {
    io -f qcow2 -c "$1" "$IMAGE"
}

say "31: a header length that is no multiple of 8"
fresh
poke32 "$IMAGE" 100 105
reads 'read -P 0 0 64k'

say "32: padding that is not zero"
fresh
poke8 "$IMAGE" 105 1
reads 'read -P 0 0 64k'

say "33: an extension that is there twice"
fresh
# Two names of a backing format (e2792aca), then the end.
poke32 "$IMAGE" 112 0xe2792aca
poke32 "$IMAGE" 116 5
poke "$IMAGE" 120 'qcow2\0\0\0'
poke32 "$IMAGE" 128 0xe2792aca
poke32 "$IMAGE" 132 3
poke "$IMAGE" 136 'raw\0\0\0\0\0'
poke64 "$IMAGE" 144 0
poke64 "$IMAGE" 8 1024
poke32 "$IMAGE" 16 4
poke "$IMAGE" 1024 'base'
img info -U -f qcow2 "$IMAGE" | grep backing

say "37: a backing file's name inside the header"
fresh
poke64 "$IMAGE" 8 4
poke32 "$IMAGE" 16 3
reads 'read -P 0 0 64k'

say "38: a size that is no multiple of 512"
fresh
poke64 "$IMAGE" 24 513
reads length

say "39: a snapshot table at a wrong place, with no snapshot in it"
fresh
poke64 "$IMAGE" 64 1
reads 'read -P 0 0 64k'

say "36: the bitmaps bit without the extension"
fresh
poke64 "$IMAGE" 88 1
reads 'read -P 0 0 64k'

say "43: the raw bit without a data file"
fresh
poke64 "$IMAGE" 88 2
img info -f qcow2 "$IMAGE" | grep -i 'raw'
reads 'read -P 0 0 64k'

say "40: a bitmap's flag that the text defines"
fresh
quiet img bitmap -f qcow2 --add "$IMAGE" b0
# The directory's place stands in the extension: type, length, count, reserved, size, offset.
for ((at = 112; at < 1024; at += 8)); do
    if [ "$(number "$IMAGE" $at 4)" = $((0x23852875)) ]; then
        directory=$(number "$IMAGE" $((at + 24)) 8)
        break
    fi
done
poke32 "$IMAGE" $((directory + 12)) 4
reads 'read -P 0 0 64k'

say "46: a compression type behind the header's end"
fresh
poke32 "$IMAGE" 100 104
poke64 "$IMAGE" 72 8
poke8 "$IMAGE" 104 1
reads 'read -P 0 0 64k'

say "47: a file that ends in front of its tables"
fresh
truncate -s 112 "$IMAGE"
reads 'read -P 0 0 64k'
truncate -s 100 "$IMAGE"
reads 'read -P 0 0 64k'

say "49: reserved bits of an L2 entry"
written
poke64 "$IMAGE" $((0x40000)) 0x800000000005007e
reads 'read -P 0x41 0 64k'
img check -f qcow2 "$IMAGE"

say "50: the zero flag in version 2"
written compat=0.10
poke64 "$IMAGE" $((0x40000)) 1
reads 'read -P 0 0 64k'
reads 'write -P 0x42 0 64k'
reads 'read -P 0x42 0 64k'

say "52: offset 0 and COPIED without a data file"
written
poke64 "$IMAGE" $((0x40000)) $((1 << 63))
reads 'read -P 0 0 64k'

say "53: a data file's cluster that is not at its guest offset"
quiet img create -f qcow2 -o data_file=data "$IMAGE" 64M
quiet io -f qcow2 -c 'write -P 0x41 0 192k' "$IMAGE"
poke64 "$IMAGE" $((0x40000)) 0x8000000000010000
reads 'read -P 0x41 0 64k'

say "58, 59: a snapshot's extra data: no instruction count, and in version 2 too"
for compat in 0.10 1.1; do
    written compat=$compat
    quiet img snapshot -c one "$IMAGE"
    table=$(number "$IMAGE" 64 8)
    number "$IMAGE" $((table + 36)) 4
    peek "$IMAGE" $((table + 40)) 24
done

say "60: the snapshot's L1 table keeps COPIED"
written
quiet img snapshot -c one "$IMAGE"
table=$(number "$IMAGE" 64 8)
peek "$IMAGE" "$(number "$IMAGE" "$table" 8)" 8

say "61: a snapshot is applied by its id, not deleted by it"
written
quiet img snapshot -c 'snap one' "$IMAGE"
img snapshot -a 1 "$IMAGE"
img snapshot -d 1 "$IMAGE"

say "65: the L1 table of an image that became smaller"
fresh 2G
img resize -f qcow2 --shrink "$IMAGE" 64M
number "$IMAGE" 36 4

say "72: amend makes an image smaller without being asked twice"
fresh
img amend -f qcow2 -o size=32M "$IMAGE"
reads length

say "73: no cluster at the end of the file is whole"
fresh
stat -c %s "$IMAGE"

say "44: the name of a backing format"
fresh
poke32 "$IMAGE" 112 0xe2792aca
poke32 "$IMAGE" 116 16
reads 'read -P 0 0 64k'
