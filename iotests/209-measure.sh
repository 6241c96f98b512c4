#!/usr/bin/env bash
# title: measure
# breaks: a volume that was made as large as measure says is too small for the image
# groups: measure
# formats: raw qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

measure() {
    img measure "$@"
    img measure --output=json "$@"
}

say "by size"
for size in 0 1 64k 1M 2G 1T 16T; do
    img measure -O "$IMAGE_FORMAT" --size "$size"
done
measure -O "$IMAGE_FORMAT" --size 1G

say "by image: empty, with data, with zeros"
quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 8M
measure -O qcow2 -f "$IMAGE_FORMAT" "$IMAGE"
measure -O raw -f "$IMAGE_FORMAT" "$IMAGE"
quiet io -f "$IMAGE_FORMAT" -c 'write -P 1 0 1M' -c 'write -P 2 4M 100' -c 'write -z 6M 1M' "$IMAGE"
measure -O qcow2 -f "$IMAGE_FORMAT" "$IMAGE"
measure -O raw -f "$IMAGE_FORMAT" "$IMAGE"
img measure -O raw --image-opts "driver=$IMAGE_FORMAT,file.filename=$IMAGE"

say "enough is enough: the file is no larger than what was said"
img convert -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out.qcow2
required=$("$QEMU_IMG" measure -O qcow2 -f "$IMAGE_FORMAT" "$IMAGE" | sed -n 's/required size: //p')
[ "$(stat -c %s out.qcow2)" -le "$required" ] && echo "it fits"

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "options of the target"
    for options in cluster_size=512 cluster_size=2M compat=0.10 refcount_bits=1 refcount_bits=64 cluster_size=64k,refcount_bits=64 \
        preallocation=metadata preallocation=full lazy_refcounts=on encrypt.format=luks \
        cluster_size=3 nonsense=1 refcount_bits=3 compat=0.10,refcount_bits=8; do
        img measure -O qcow2 -o "$options" --size 10G
    done
    img measure -O qcow2 --object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s --size 1G
    img measure -O qcow2 -o cluster_size=4k -f qcow2 "$IMAGE"
    say "a snapshot, and a chain"
    quiet img snapshot -c one "$IMAGE"
    quiet io -f qcow2 -c 'write -P 3 2M 1M' "$IMAGE"
    img measure -O qcow2 -f qcow2 -l one "$IMAGE"
    img measure -O qcow2 -f qcow2 -l snapshot.name=one "$IMAGE"
    img measure -O qcow2 -f qcow2 -l missing "$IMAGE"
    quiet img create -f qcow2 -b "$IMAGE" -F qcow2 top
    quiet io -f qcow2 -c 'write -P 4 7M 64k' top
    measure -O qcow2 -f qcow2 top
fi

say "formats, and wrong ways to ask"
img measure -O luks --size 1G
img measure -O qcow --size 1G
img measure -O nonsense --size 1G
img measure --size 1G
img measure -O qcow2
img measure -O qcow2 --size 1G "$IMAGE"
img measure -O qcow2 --size nonsense
img measure -O qcow2 --size -1
img measure -O qcow2 --size 9E
img measure -O qcow2 missing
img measure -O qcow2 --output=yaml --size 1G
img measure -O qcow2 -l one --size 1G
