#!/usr/bin/env bash
# title: an image and its raw copy
# breaks: a difference between an image and its copy goes unnoticed, or is told in other words
# groups: filters io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -q -P 5 0 128k' "$IMAGE"
quiet img convert -f qcow2 -O raw "$IMAGE" copy.raw

say "they agree"
io -f raw -c length -c 'read -P 5 0 64k' -c 'write -P 6 64k 512' -c 'write -P 7 1000 24' -c 'read -P 7 1000 24' -c info -c map "blkverify:copy.raw:$IMAGE"
say "they don't"
quiet io -f qcow2 -c 'write -q -P 9 200k 512' "$IMAGE"
io -f raw -c 'read 0 64k' -c 'read 128k 128k' -c length "blkverify:copy.raw:$IMAGE"
io --image-opts -c length -c 'read 204800 512' "driver=blkverify,raw.driver=raw,raw.file.filename=copy.raw,test.driver=qcow2,test.file.filename=$IMAGE"
say "one of them fails"
io --image-opts -c 'read 0 512' "driver=blkverify,raw.driver=raw,raw.file.filename=copy.raw,test.driver=blkdebug,test.image.driver=qcow2,test.image.file.filename=$IMAGE,test.inject-error.0.event=none"
say "what is missing"
io -f raw -c length blkverify:copy.raw
io -f raw -c length "blkverify::$IMAGE"
io -f raw -c length "blkverify:copy.raw:none"
io --image-opts -c length "driver=blkverify,raw.driver=raw,raw.file.filename=copy.raw"
io --image-opts -c length "driver=blkverify,raw.driver=raw,raw.file.filename=copy.raw,test.driver=qcow2,test.file.filename=$IMAGE,foo=1"
img create -f raw "blkverify:copy.raw:$IMAGE" 1M
