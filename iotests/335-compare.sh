#!/usr/bin/env bash
# title: compare by size, format and content
# breaks: different disks are called identical
# groups: compare
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
on "$IMAGE" 'write -P 1 0 64k' 'write -P 2 512k 64k'
[ "$IMAGE_FORMAT" = luks ] && on "$IMAGE" 'write -P 0 64k 448k' 'write -P 0 576k 448k'
image_at "$IMAGE"
quiet img convert "${at[@]}" -O raw flat
if [ "$IMAGE_FORMAT" = luks ]; then
    with() { img compare "$@" --object secret,id=s,data=geheim --image-opts "driver=luks,key-secret=s,file.filename=$IMAGE" "driver=raw,file.filename=$other"; }
else
    with() { img compare "$@" -f "$IMAGE_FORMAT" -F raw "$IMAGE" "$other"; }
fi
other=flat
with
with -p
with -q
with -s
with -T none
with -T nonsense
with -U
say "longer"
cp flat longer
truncate -s 2M longer
other=longer
with
with -s
quiet io -f raw -c 'write -P 3 1500k 512' longer
with
with -s
say "shorter"
cp flat shorter
truncate -s 500k shorter
other=shorter
with
with -s
say "one byte"
cp flat changed
other=changed
for place in 0 511 65535 65536 524288 1048575; do
    cp flat changed
    poke8 changed $place 9
    with
done
say "zeros that are written"
quiet img create -f raw -o preallocation=full written 1M
quiet img create -f raw sparse 1M
img compare -f raw -F raw written sparse
img compare -s -f raw -F raw written sparse
say "wrong ways"
img compare
img compare flat
img compare flat flat flat
img compare flat missing
img compare missing flat
img compare -f nonsense flat flat
img compare -F nonsense flat flat
img compare -f qcow2 flat flat
img compare -f raw -F raw flat flat
