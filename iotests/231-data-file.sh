#!/usr/bin/env bash
# title: guest data in a file of its own
# breaks: data goes to the wrong file or place, or a data file that is not needed is opened, or one that is needed is not
# groups: io create
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

entries() {
    xxd -c 8 -s 262144 -l 64 "$1" | cut -d' ' -f2-5 | tr '\n' ';'
    printf '\n'
}

size_of() {
    stat -c '%n %s' "$@"
}

say "create and info"
img create -f qcow2 -o data_file=data "$IMAGE" 512k
size_of data "$IMAGE"
img info "$IMAGE"
img map --output=json "$IMAGE"

say "write, zero, discard"
io -f qcow2 -c 'write -P 1 0 128k' -c 'write -P 2 130k 10k' -c 'write -z 64k 64k' -c 'write -z -u 192k 64k' \
    -c 'write -z 0 64k' -c 'discard 256k 64k' "$IMAGE"
entries "$IMAGE"
img map "$IMAGE"
img map --output=json "$IMAGE"
img check "$IMAGE"
io -f qcow2 -c 'write -P 3 4k 4k' -c 'read -P 0 0 4k' -c 'read -P 3 4k 4k' -c 'read -P 2 130k 10k' -c 'read -P 0 64k 66k' "$IMAGE"
io -f raw -c 'read -P 3 4k 4k' -c 'read -P 1 64k 64k' -c 'read -P 0 128k 2k' -c 'read -P 2 130k 10k' data
io -f qcow2 -c 'discard 0 128k' -c 'write -c 0 64k' "$IMAGE"
entries "$IMAGE"
io -f raw -c 'read -P 0 0 128k' data

say "no snapshots"
img snapshot -c one "$IMAGE"
img snapshot -l "$IMAGE"
img snapshot -a one "$IMAGE"
img snapshot -d one "$IMAGE"

say "resize"
img resize "$IMAGE" 1M
entries "$IMAGE"
img resize --preallocation=metadata "$IMAGE" 1152k
img resize --preallocation=full "$IMAGE" 1280k
img resize --preallocation=falloc "$IMAGE" 1408k
size_of data "$IMAGE"
img map --output=json "$IMAGE"
img resize --shrink "$IMAGE" 200k
entries "$IMAGE"
size_of data "$IMAGE"
img check "$IMAGE"

say "a raw data file"
quiet img create -f qcow2 -o data_file=raw,data_file_raw=on "$IMAGE" 512k
img info "$IMAGE"
entries "$IMAGE"
quiet io -f raw -c 'write -P 9 0 512k' raw
io -f qcow2 -c 'read -P 9 0 512k' -c 'write -z 64k 64k' -c 'write -z -u 128k 64k' -c 'discard 192k 64k' -c 'write -P 4 257k 1k' "$IMAGE"
entries "$IMAGE"
io -f raw -c 'read -P 9 0 64k' -c 'read -P 0 64k 192k' -c 'read -P 9 256k 1k' -c 'read -P 4 257k 1k' raw
img map --output=json "$IMAGE"
img resize "$IMAGE" 1M
entries "$IMAGE"
img check "$IMAGE"
img info --output=json "$IMAGE"

say "preallocated"
for mode in metadata falloc full; do
    quiet img create -f qcow2 -o data_file=data,preallocation=$mode "$IMAGE" 256k
    entries "$IMAGE"
    size_of data "$IMAGE"
done

say "copied"
quiet img create -f raw plain 300k
quiet io -f raw -c 'write -P 7 100k 100k' plain
img convert -f raw -O qcow2 -o data_file=data plain "$IMAGE"
img compare -f raw -F qcow2 plain "$IMAGE"
img map --output=json "$IMAGE"
img convert -f raw -O qcow2 -c -o data_file=data plain "$IMAGE"
img convert -f qcow2 -O raw "$IMAGE" flat
img measure -f raw -O qcow2 -o data_file=data plain

say "a backing file"
quiet img create -f qcow2 -o data_file=data -b plain -F raw "$IMAGE"
io -f qcow2 -c 'write -P 8 110k 1k' -c 'read -P 7 100k 10k' -c 'read -P 8 110k 1k' -c 'read -P 7 111k 80k' "$IMAGE"
img map --output=json "$IMAGE"
img commit "$IMAGE"
io -f raw -c 'read -P 8 110k 1k' plain

say "elsewhere"
quiet img create -f qcow2 -o data_file=data "$IMAGE" 256k
quiet io -f qcow2 -c 'write -P 5 0 64k' "$IMAGE"
mv data moved
img info "$IMAGE"
img map "$IMAGE"
img check "$IMAGE"
io -f qcow2 -c 'read 0 64k' "$IMAGE"
tree=driver=qcow2,file.filename=$IMAGE
io -c 'read -P 5 0 64k' --image-opts "$tree,data-file.filename=moved"
io -c 'read -P 5 0 64k' --image-opts "$tree,data-file.driver=file,data-file.filename=moved"
img map --image-opts "$tree,data-file.driver=file,data-file.filename=missing"
img map --image-opts "$tree,data-file.driver=file"
img map --image-opts "$tree,data-file.driver=file,data-file.filename=moved,data-file.nonsense=1"
img map --image-opts "$tree,data-file=node"
quiet img create -f qcow2 plain.qcow2 256k
img map --image-opts "driver=qcow2,file.filename=plain.qcow2,data-file.driver=file,data-file.filename=moved"
img map --image-opts "driver=qcow2,file.filename=plain.qcow2,data-file=node"

say "refused, and nothing left"
img create -f qcow2 -o data_file=no/data new 1M
img create -f qcow2 -o data_file= new 1M
img create -f qcow2 -o data_file=fresh,cluster_size=3 new 1M
img create -f qcow2 -o data_file=fresh,compat=0.10 new 1M
img create -f qcow2 -o data_file_raw=on new 1M
img create -f qcow2 -o data_file=fresh,data_file_raw=on -b plain -F raw new
ls
