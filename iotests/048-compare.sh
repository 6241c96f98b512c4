#!/usr/bin/env bash
# title: compare
# breaks: two images that differ are called identical, or the other way round, or the first difference is put elsewhere
# groups: compare
# formats: raw qcow2
# requires: nothing
# origin: ours, from the one-line description "compare of identical, differing, resized images"

. "$SUITE_COMMON"

compare() {
    img compare -f "$IMAGE_FORMAT" -F "$IMAGE_FORMAT" "$@"
}

quiet img create -f "$IMAGE_FORMAT" a 4M
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x41 0 1M' -c 'write -P 0x42 2M 128k' a
cp a b

say "identical"
compare a b
compare -s a b
compare -p a b
compare -q a b
compare a a

say "one byte differs: at the start, in the middle, at the end"
for offset in 0 1500k 2100k 4194303; do
    cp a b
    quiet io -f "$IMAGE_FORMAT" -c "write -P 0x43 $offset 1" b
    compare a b
    compare b a
    compare -q a b
done

say "written zeros are no difference, except to a strict reader"
cp a b
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0 3M 512k' b
compare a b
compare -s a b
compare -s b a
quiet io -f "$IMAGE_FORMAT" -c 'write -z 1M 512k' a
compare a b

say "one is longer, by nothing but zeros"
cp a b
quiet img resize -f "$IMAGE_FORMAT" b 5M
compare a b
compare b a
compare -s a b
compare -q a b

say "one is longer, with data in its tail"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x44 4608k 4k' b
compare a b
compare b a
compare -q b a

say "one is shorter by less than a sector's worth of clusters"
cp a b
quiet img resize -q -f "$IMAGE_FORMAT" --shrink b 4193792
compare a b
compare -s a b

say "a difference before the shorter one's end is found first"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x45 64k 512' b
compare a b

say "across formats"
img convert -f "$IMAGE_FORMAT" -O raw a a.raw
img convert -f "$IMAGE_FORMAT" -O qcow2 a a.qcow2
img compare -f raw -F qcow2 a.raw a.qcow2
img compare a.raw a.qcow2
img compare -f raw -F raw a.raw a.qcow2

say "wrong ways to ask"
compare a
compare a b c
compare a missing
compare missing a
compare -s
img compare -f nonsense a b
img compare -F nonsense a b
img compare --nonsense a b
