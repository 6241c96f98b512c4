#!/usr/bin/env bash
# title: convert with every flag
# breaks: a flag is ignored, or a copy differs from its source
# groups: convert
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
on "$IMAGE" 'write -P 1 0 64k' 'write -P 2 256k 128k' 'write -z 320k 64k' 'write -P 3 1000k 24k'
image_at "$IMAGE"
copy() {
    rm -f out
    img convert "$@" "${at[@]}" -O raw out
    length_of out
    img map -f raw --output=json out
    io -f raw -c 'read -P 1 0 64k' -c 'read -P 2 256k 64k' -c 'read -P 3 1000k 24k' out
}
say "to raw"
copy
copy -p
copy -q
copy -m 1
copy -m 16 -W
copy -W
copy -r 100M
copy -S 0
copy -S 4k
copy -S 64k
copy -t none -T none
copy -t writeback
copy -t unsafe
copy --salvage
copy -U
copy -o preallocation=falloc
copy -o preallocation=full
copy -C

say "onto what is there"
quiet img create -f raw there 1M
quiet io -f raw -c 'write -P 9 0 1M' there
img convert -n "${at[@]}" -O raw there
io -f raw -c 'read -P 1 0 64k' -c 'read -P 0 64k 64k' -c 'read -P 0 320k 64k' there
quiet img create -f raw there 1M
img convert -n --target-is-zero "${at[@]}" -O raw there
img map -f raw --output=json there
quiet img create -f raw small 512k
img convert -n "${at[@]}" -O raw small
quiet img create -f raw large 2M
quiet io -f raw -c 'write -P 9 0 2M' large
img convert -n "${at[@]}" -O raw large
io -f raw -c 'read -P 3 1000k 24k' -c 'read -v 1M 16' large

say "wrong ways"
img convert --target-is-zero "${at[@]}" -O raw out
img convert -n -o preallocation=off "${at[@]}" -O raw there
img convert -S nonsense "${at[@]}" -O raw out
img convert -S 100 "${at[@]}" -O raw out
img convert -S 1k "${at[@]}" -O raw out
img convert -m 0 "${at[@]}" -O raw out
img convert -m 17 "${at[@]}" -O raw out
img convert -r nonsense "${at[@]}" -O raw out
img convert -t nonsense "${at[@]}" -O raw out
img convert -T nonsense "${at[@]}" -O raw out
img convert -c "${at[@]}" -O raw out
img convert -c "${at[@]}" -O luks out
img convert -c -S 4k "${at[@]}" -O qcow2 out.qcow2
img convert -C -c "${at[@]}" -O qcow2 out.qcow2
img convert -C -S 0 "${at[@]}" -O raw out
img convert --salvage -C "${at[@]}" -O raw out
img convert --bitmaps "${at[@]}" -O raw out
img convert --skip-broken-bitmaps "${at[@]}" -O raw out
img convert -B there "${at[@]}" -O raw out
img convert -F raw "${at[@]}" -O raw out
img convert -B there "${at[@]}" -O qcow2 out.qcow2
img convert -B there -F raw "${at[@]}" -O qcow2 out.qcow2
img convert -l snapshot.nothing=1 "${at[@]}" -O raw out
img convert -l nothing "${at[@]}" -O raw out
img convert "${at[@]}" -O nonsense out
img convert "${at[@]}" -O raw /nonexistent/out
img convert "${at[@]}" -O raw -o size=5M out
img convert "${at[@]}" -O raw -o nonsense=5M out
img convert "${at[@]}"
img convert -O raw
img convert -O raw missing out
