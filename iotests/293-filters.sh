#!/usr/bin/env bash
# title: filters over an image
# breaks: a filter driver changes what is read, stores in another form, or hides what it lies over
# groups: filters options
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 base.qcow2 1M
quiet io -f qcow2 -c 'write -P 3 0 256k' base.qcow2
below=file.driver=qcow2,file.file.filename=$IMAGE

for driver in compress copy-on-read preallocate; do
    say "$driver"
    quiet img create -f qcow2 -b base.qcow2 -F qcow2 "$IMAGE"
    io --image-opts "driver=$driver,$below" -c length -c 'read -P 3 0 64k' -c 'write -P 4 64k 64k' -c 'write -P 5 128k 4k' -c 'read -P 4 64k 64k' \
        -c 'read -P 5 128k 4k' -c 'read -P 3 132k 60k' -c 'write -z 256k 64k' -c 'read -P 0 256k 64k'
    layers "$IMAGE"
    img check "$IMAGE"
    io --image-opts "driver=$driver" -c length
    io --image-opts "driver=$driver,nonsense=1,$below" -c length
done
say "compressed once"
quiet img create -f qcow2 "$IMAGE" 1M
io --image-opts "driver=compress,$below" -c 'write 0 64k' -c 'write 0 4k'
say "refused"
quiet img create -f raw disk.raw 1M
io --image-opts driver=compress,file.filename=disk.raw -c length
io --image-opts "driver=copy-on-read,bottom=nonsense,$below" -c length
io --image-opts "driver=preallocate,prealloc-align=3,$below" -c length
io --image-opts "driver=throttle,$below" -c length
io --image-opts "driver=throttle,throttle-group=nonsense,$below" -c length
