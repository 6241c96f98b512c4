#!/usr/bin/env bash
# title: what filters and windows keep other processes from
# breaks: somebody writes to a copy, a log or an image below a filter, or makes the file below a window shorter
# groups: locks filters
# formats: raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

truncate -s 1M u.raw v.raw
quiet img create -f qcow2 q.qcow2 1M

held_by() {
    printf '\n-- %s --\n' "$*"
    hold "$@"
}

for image in driver=quorum,children.0.driver=raw,children.0.file.filename=u.raw,vote-threshold=1 \
    driver=blkverify,test.driver=raw,test.file.filename=u.raw,raw.filename=v.raw \
    driver=blklogwrites,file.driver=raw,file.file.filename=v.raw,log.filename=u.raw \
    driver=raw,size=1M,file.filename=u.raw \
    driver=raw,offset=0,file.filename=u.raw \
    driver=copy-on-read,file.driver=raw,file.file.filename=u.raw; do
    held_by --image-opts "$image"
    io -f raw -c 'write 0 512' -c 'truncate 1M' u.raw
    io -r -f raw -c length u.raw
    let_go
done
for image in driver=compress,file.driver=qcow2,file.file.filename=q.qcow2 driver=qcow2,file.filename=q.qcow2; do
    held_by --image-opts "$image"
    io -f qcow2 -c 'write 0 512' q.qcow2
    io -r -f qcow2 -c length q.qcow2
    io -r -U -f qcow2 -c length q.qcow2
    let_go
done

say "one file twice"
io -c length --image-opts driver=quorum,children.0.driver=raw,children.0.file.filename=u.raw,children.1.driver=raw,children.1.file.filename=u.raw,vote-threshold=1
io -c length --image-opts driver=blklogwrites,file.driver=raw,file.file.filename=u.raw,log.filename=u.raw
