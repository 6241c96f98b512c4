#!/usr/bin/env bash
# title: copies vote
# breaks: a broken copy is believed, or the words for one change
# groups: filters io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for copy in a b c; do
    quiet img create -f qcow2 "$copy.qcow2" 1M
    quiet io -f qcow2 -c 'write -q -P 5 0 128k' "$copy.qcow2"
done
two="driver=quorum,children.0.driver=qcow2,children.0.file.filename=a.qcow2,children.1.driver=qcow2,children.1.file.filename=b.qcow2"
three="$two,children.2.driver=qcow2,children.2.file.filename=c.qcow2"

say "all agree"
io --image-opts -c length -c 'read -P 5 0 64k' -c 'write -P 6 64k 4k' -c 'read -P 6 64k 4k' -c info -c map -c 'write -z 0 4k' -c 'discard 256k 64k' -c flush -c 'truncate 2M' "$three,vote-threshold=2"
say "one is outvoted"
quiet io -f qcow2 -c 'write -q -P 9 0 512' b.qcow2
io --image-opts -c 'read -P 0 0 4k' "$three,vote-threshold=2"
io --image-opts -c 'read -P 0 0 4k' "$three,vote-threshold=3"
io --image-opts -c 'read -P 0 0 4k' "$two,vote-threshold=2"
io --image-opts -c 'read -P 0 0 4k' "$two,vote-threshold=1,read-pattern=fifo"
io --image-opts -c 'read -P 5 8k 4k' -c 'read 0 4k' -c length "$two,vote-threshold=2,blkverify=on"
io --image-opts -c 'read -P 0 0 4k' "$three,vote-threshold=2,rewrite-corrupted=on"
io -f qcow2 -c 'read -P 0 0 4k' b.qcow2
say "one fails"
failing="driver=quorum,children.0.driver=qcow2,children.0.file.filename=a.qcow2,children.1.driver=blkdebug,children.1.image.driver=qcow2,children.1.image.file.filename=b.qcow2,children.1.inject-error.0.event=none"
io --image-opts -c 'read 8k 512' -c 'write -P 5 8k 512' "$failing,vote-threshold=1"
io --image-opts -c 'read 8k 512' -c 'write -P 5 8k 512' "$failing,vote-threshold=2"
say "what can't be"
for options in '' ,vote-threshold=0 ,vote-threshold=3 ,vote-threshold=-1 ,vote-threshold=x ,vote-threshold=2,read-pattern=x ,vote-threshold=1,blkverify=on \
    ,vote-threshold=2,blkverify=on,rewrite-corrupted=on ,vote-threshold=2,foo=1; do
    io --image-opts -c length "$two$options"
done
io --image-opts -c length driver=quorum,vote-threshold=1
io --image-opts -c length driver=quorum,vote-threshold=1,children.1.driver=qcow2,children.1.file.filename=a.qcow2
quiet img resize -f qcow2 b.qcow2 2M
io --image-opts -c length "$two,vote-threshold=2"
