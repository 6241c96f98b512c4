#!/usr/bin/env bash
# title: options of an existing image
# breaks: amend loses data, leaves other bytes than the real tool, or refuses in other words
# groups: amend info check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 128k' -c 'write -z 256k 64k' "$IMAGE"
for options in compat=0.10 lazy_refcounts=on refcount_bits=8 compat=1.1,refcount_bits=8 compat=0.10 \
    refcount_bits=64,lazy_refcounts=on refcount_bits=16,compat=0.10 compat=0.9 refcount_bits=7 backing_file=x \
    data_file=x data_file_raw=on cluster_size=64k nothing=1 encrypt.state=active size=513 size=2M size=1M; do
    say "$options"
    img amend -f qcow2 -o "$options" "$IMAGE"
    peek "$IMAGE" 0 112
    img check "$IMAGE"
    io_commands "$IMAGE" 'read -P 1 0 128k' 'read -P 0 128k 896k'
done

say "formats that can't"
quiet img create -f qcow other.img 1M
img amend -f qcow -o size=2M other.img
img amend -f raw -o size=2M other.img

say "what a longer backing file holds does not show in what the disk grows by"
quiet img create -f raw base.raw 2M
quiet io -f raw -c 'write -P 5 0 2M' base.raw
quiet img create -f qcow2 -b base.raw -F raw "$IMAGE" 100k
img amend -f qcow2 -o size=1M "$IMAGE"
io_commands "$IMAGE" 'read -P 5 0 100k' 'read -P 0 100k 924k'
img map --output=json -f qcow2 "$IMAGE"
