#!/usr/bin/env bash
# title: LUKS in qcow2
# breaks: what is written to a LUKS image in qcow2 does not come back, or a wrong password opens it
# groups: encrypt rw convert compare
# formats: qcow2
# requires: nothing
# origin: ours, from the one-line description "LUKS in qcow2: read new image as zeroes, write, verify, wrong password refused at open, converted with preallocation then compared"

. "$SUITE_COMMON"

right=(--object "secret,id=sec0,data=astrochicken")
wrong=(--object "secret,id=sec0,data=platypus")
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0

with() {
    local -n key=$1
    local command arguments=()
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io "${key[@]}" --image-opts "${arguments[@]}" "$image"
}

say "create"
img create -f qcow2 "${right[@]}" -o encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10 "$IMAGE" 1M
img check -f qcow2 "$IMAGE"
img check "${right[@]}" --image-opts "$image"

say "a new image is zeros"
with right 'read -P 0 0 1M'

say "write and verify"
with right 'write -P 0xa 0 1M' 'read -P 0xa 0 1M'
with right 'write -P 0xb 17k 5k' 'write -P 0xc 100001 17' 'write -P 0xd 1023k 1k'
with right 'read -P 0xa 0 17k' 'read -P 0xb 17k 5k' 'read -P 0xa 22k 70k' 'read -P 0xc 100001 17' 'read -P 0xd 1023k 1k'
with right 'write -z 256k 100k' 'read -P 0 256k 100k' 'read -P 0xa 356k 100k' 'discard 512k 64k' 'read -P 0 512k 64k'
with right 'write -P 0xe 1024k 512'
img check "${right[@]}" --image-opts "$image"

say "the payload is not in the clear"
if od -A n -v -t x1 -w64 "$IMAGE" | grep -q '0a 0a 0a 0a 0a 0a 0a 0a 0a 0a 0a 0a'; then
    echo "the pattern is in the file"
fi

say "a wrong password does not open it"
with wrong 'read -P 0xa 0 512'
with wrong 'write -P 0xa 0 512'

say "converted with preallocation, then compared"
for mode in off metadata falloc full; do
    img convert "${right[@]}" --image-opts -O qcow2 -o "preallocation=$mode" "$image" plain.qcow2
    img compare "${right[@]}" --image-opts "$image" driver=qcow2,file.filename=plain.qcow2
    img check -f qcow2 plain.qcow2
done
for mode in metadata full; do
    img convert "${right[@]}" -f qcow2 -O qcow2 -o \
        "encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10,preallocation=$mode" plain.qcow2 copy.qcow2
    img compare "${right[@]}" --image-opts "$image" driver=qcow2,file.filename=copy.qcow2,encrypt.key-secret=sec0
    img check "${right[@]}" --image-opts driver=qcow2,file.filename=copy.qcow2,encrypt.key-secret=sec0
done
