#!/usr/bin/env bash
# title: a part of a file is a disk
# breaks: a disk inside a larger file is cut, moved or overwrites its surroundings
# groups: filters resize
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 inner.qcow2 1M
quiet io -f qcow2 -c 'write -q -P 5 0 128k' inner.qcow2

embed() {
    { head -c 65536 /dev/zero; cat inner.qcow2; } >outer
}
embed
say "an image in a file"
io --image-opts -c 'read -P 5 0 128k' -c 'write -P 6 256k 64k' -c 'read -P 6 256k 64k' -c map "driver=qcow2,file.driver=raw,file.offset=64k,file.file.filename=outer"
img check --image-opts "driver=qcow2,file.driver=raw,file.offset=64k,file.file.filename=outer"
say "its room is limited"
embed
truncate -s 2M outer
io --image-opts -c 'write -P 6 256k 768k' -c 'read -P 5 0 128k' "driver=qcow2,file.driver=raw,file.offset=64k,file.size=512k,file.file.filename=outer"
say "raw windows"
quiet img create -f raw disk.raw 1M
quiet io -f raw -c 'write -q -P 3 0 1M' disk.raw
for window in offset=512 offset=512,size=1024 offset=1000,size=512 offset=1M offset=2M size=0 size=1000 size=2M offset=1M,size=512 offset=-1 offset=x size=x size=-512 size=16E; do
    io --image-opts -c length -c 'read -P 3 0 512' -c 'write -P 4 0 100' "driver=raw,$window,file.filename=disk.raw"
done
img resize --image-opts driver=raw,offset=512,file.filename=disk.raw 2M
img resize --image-opts driver=raw,offset=512,size=512k,file.filename=disk.raw 2M
stat -c %s disk.raw
