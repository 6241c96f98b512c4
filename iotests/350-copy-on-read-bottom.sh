#!/usr/bin/env bash
# title: where copy-on-read stops, and options for the backing file of an image below a filter
# breaks: data of layers below the bottom is copied, or a filter reads another backing file than it was told
# groups: backing options
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

fill() { quiet io -f qcow2 -c "write -q -P $2 $3 $4" "$1"; }
chain() {
    quiet img create -q -f qcow2 a.qcow2 1M
    fill a.qcow2 10 0 256k
    quiet img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2 1M
    fill b.qcow2 11 128k 256k
    quiet img create -q -f qcow2 -b b.qcow2 -F qcow2 c.qcow2 2M
    fill c.qcow2 12 320k 128k
    quiet io -f qcow2 -c 'write -q -z 64k 64k' c.qcow2
}
layers=driver=qcow2,node-name=top,file.filename=c.qcow2,backing.driver=qcow2,backing.node-name=b
layers+=,backing.file.filename=b.qcow2,backing.backing.driver=qcow2,backing.backing.node-name=a
layers+=,backing.backing.file.filename=a.qcow2
below=file.${layers//,/,file.}

for bottom in a b; do
    say "the bottom is $bottom"
    chain
    io -c 'read -q 600k 5' -c map -c 'read -q 130k 5' -c map -c 'read -q 0 1M' -c map -c 'write -q 900k 5' \
        --image-opts "driver=copy-on-read,bottom=$bottom,$below"
    img map -f qcow2 c.qcow2
done
say "no bottom"
chain
io -c 'read -q 600k 5' -c 'read -q 0 1M' -c map --image-opts "driver=copy-on-read,$below"
say "a bottom that is nowhere"
io -c map --image-opts "driver=copy-on-read,bottom=zz,$below"
io -c quit --image-opts "file.driver=copy-on-read,file.bottom=b,file.${below//,/,file.}"

say "another backing file below a filter"
chain
io -c 'read -P 10 128k 64k' -c 'read -P 0 256k 64k' -c map \
    --image-opts driver=copy-on-read,file.driver=qcow2,file.file.filename=c.qcow2,file.backing.driver=qcow2,file.backing.file.filename=a.qcow2
chain
io -c 'read -P 10 128k 64k' \
    --image-opts driver=compress,file.driver=qcow2,file.file.filename=c.qcow2,file.backing.driver=qcow2,file.backing.file.filename=a.qcow2

say "options for the file of the backing file"
for option in locking=off driver=file driver=blkdebug driver=nosuch foo=x driver=null-co image.filename=a.qcow2 \
    file.filename=a.qcow2 driver=blkdebug,backing.file.image.filename=a.qcow2 driver=blkdebug,backing.file.align=512; do
    io -r -c 'read -P 11 128k 64k' --image-opts "driver=qcow2,file.filename=c.qcow2,backing.driver=qcow2,backing.file.$option"
    io -c "open -r -o driver=qcow2,file.${option//backing./} c.qcow2" -c 'read -P 11 128k 64k'
done
