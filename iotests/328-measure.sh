#!/usr/bin/env bash
# title: measure of every source and target
# breaks: an image does not fit where it was measured to
# groups: measure
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 3M
on "$IMAGE" 'write -P 1 0 100k' 'write -P 2 1M 300k' 'write -z 2M 64k' 'write -P 3 3000k 10k'
image_at "$IMAGE"
for target in raw qcow2 luks qcow; do
    say "$target"
    for output in human json; do
        img measure --output=$output -O $target "${at[@]}"
        img measure --output=$output -O $target --size 3M
    done
done
say "options"
for options in cluster_size=4k cluster_size=2M refcount_bits=1 refcount_bits=64,cluster_size=512 preallocation=metadata preallocation=falloc \
    preallocation=full compat=0.10 extended_l2=on extended_l2=on,cluster_size=16k lazy_refcounts=on encrypt.format=luks,encrypt.iter-time=0 \
    encrypt.format=aes backing_file=x,backing_fmt=raw size=5M data_file=x nonsense=1 cluster_size=3k; do
    img measure -O qcow2 -o "$options" "${at[@]}"
    img measure -O qcow2 -o "$options" --size 100M
done
say "wrong ways"
img measure
img measure --size 1M "${at[@]}"
img measure --size nonsense
img measure --size -1
img measure --size 8E -O qcow2
img measure --size 7E -O raw
img measure --size 2P -O qcow2
img measure --size 3P -O qcow2
img measure -O nonsense --size 1M
img measure --output=yaml --size 1M
img measure -f raw missing
img measure -l nothing "${at[@]}"
img measure -O luks --size 0
img measure -O luks --object secret,id=x,data=y -o key-secret=x,iter-time=0 --size 1M
