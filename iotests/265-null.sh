#!/usr/bin/env bash
# title: disks that are not there
# breaks: a null disk is read, sized or refused otherwise
# groups: filters io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "content"
io -f null-co -c length -c map -c 'read -v 0 16' -c 'write -P 5 0 4k' -c 'truncate 5M' null-co://
io --image-opts -c 'read -P 0 0 64k' -c map -c 'alloc 0 1M' -c 'discard 0 64k' -c flush driver=null-aio,read-zeroes=on
io --image-opts -c info driver=null-co
say "length"
for size in 0 1000 1M 9223372036854775807; do
    io --image-opts -c length -c 'read 0 24' -c 'read 1000 24' -c 'read 1024 1' driver=null-co,read-zeroes=on,size=$size
done
say "what can't be"
io -f raw -c length null-co://x
io --image-opts -c length driver=null-co,foo=1
io --image-opts -c length driver=null-co,latency-ns=-1
io --image-opts -c length driver=null-co,latency-ns=9223372036854775808
img create -f raw null-co:// 1M
say "facts"
img info --image-opts driver=null-co,size=1M,read-zeroes=on
img info --image-opts driver=null-aio,size=1M,latency-ns=5
img map --output=json --image-opts driver=null-co,size=1M
