#!/usr/bin/env bash
# title: options of a file that has a name
# breaks: what scripts say behind open -o is refused or has no effect
# groups: io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
for options in file.locking=off file.locking=x file.driver=file file.driver=raw file.foo=1 file=x file.read-only=on "file.filename=other" file.driver=foo file.driver=throttle \
    node-name=a,file.node-name=a node-name=1a node-name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa filename=other driver=foo foo.bar=1 read-only=on read-only=off force-share=on \
    discard=x detect-zeroes=unmap,discard=off cache.direct=x file.cache.no-flush=on file.aio=native file.aio=x \
    l2-cache-entry-size=512 l2-cache-entry-size=1000 l2-cache-entry-size=128k cache-size=1M,l2-cache-size=2M cache-size=1M,refcount-cache-size=2M \
    cache-size=1M,l2-cache-size=1M,refcount-cache-size=1M refcount-cache-size=9E cache-clean-interval=4294967296 cache-clean-interval=-1 lazy-refcounts=x pass-discard-request=x; do
    io -c "open -o $options $IMAGE" -c length
done
io -r --image-opts -c 'write -P 3 0 512' "driver=qcow2,read-only=off,file.filename=$IMAGE"
