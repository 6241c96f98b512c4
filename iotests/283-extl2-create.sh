#!/usr/bin/env bash
# title: extended L2 entries: create, info, measure, amend
# breaks: an option is not refused, or refused in other words, or the image differs from the real one
# groups: extl2 create info measure
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

sum() {
    cksum <"$1"
}

say "refused"
img create -f qcow2 -o extended_l2=on,cluster_size=8k "$IMAGE" 1M
img create -f qcow2 -o extended_l2=on,compat=0.10 "$IMAGE" 1M
img create -f qcow2 -o extended_l2=perhaps "$IMAGE" 1M
img create -f qcow2 -o extended_l2=on,cluster_size=512,compat=0.10 "$IMAGE" 1M
img create -f qcow2 -o extended_l2=on,cluster_size=16k "$IMAGE" 9P
img create -f qcow2 -o extended_l2=off,preallocation=metadata -b base -F raw "$IMAGE" 1M
test ! -e "$IMAGE" && echo "nothing is left"

say "made"
quiet img create -f raw base 100k
for options in '' ,cluster_size=16k ,cluster_size=2M ,preallocation=metadata ,preallocation=full ,lazy_refcounts=on \
    ,compression_type=zstd,refcount_bits=64 ,data_file=data,data_file_raw=on ,data_file=data,preallocation=metadata; do
    img create -f qcow2 -o "extended_l2=on$options" "$IMAGE" 200k
    sum "$IMAGE"
    extended_entries "$IMAGE" 4
    img map -f qcow2 --output=json "$IMAGE"
    img check -f qcow2 "$IMAGE"
done
for how in off metadata falloc full; do
    img create -f qcow2 -o "extended_l2=on,preallocation=$how" -b base -F raw "$IMAGE" 200k
    sum "$IMAGE"
    img map -f qcow2 --output=json "$IMAGE"
done

say "info"
quiet img create -f qcow2 -o extended_l2=on "$IMAGE" 1M
img info "$IMAGE"
img info --output=json "$IMAGE"

say "measure"
img measure -O qcow2 -o extended_l2=on --size 10G
img measure -O qcow2 -o extended_l2=on,cluster_size=16k --size 10G
img measure -O qcow2 -o extended_l2=on,preallocation=full --size 10M
img measure -O qcow2 -o extended_l2=on,cluster_size=4k --size 10M
quiet io -f qcow2 -c 'write 0 1k' -c 'write 100k 100k' -c 'write -z 10k 2k' "$IMAGE"
img measure -f qcow2 -O qcow2 "$IMAGE"
img measure -f qcow2 -O raw "$IMAGE"

say "amend"
img amend -f qcow2 -o compat=0.10 "$IMAGE"
img amend -f qcow2 -o extended_l2=off "$IMAGE"
img amend -f qcow2 -o lazy_refcounts=on "$IMAGE"
img amend -f qcow2 -o refcount_bits=8 "$IMAGE"
img amend -f qcow2 -o size=2M "$IMAGE"
img check -f qcow2 "$IMAGE"
io_commands "$IMAGE" 'write -P 1 1M 1k' 'read -P 1 1M 1k' 'read -P 0 10k 2k'
img info "$IMAGE"
