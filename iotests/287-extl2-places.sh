#!/usr/bin/env bash
# title: subclusters: a data file, encryption, lazy refcounts
# breaks: data goes to the wrong place of the data file, or is ciphered with the wrong vector
# groups: extl2 encrypt
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "a data file"
quiet img create -f qcow2 -o extended_l2=on,data_file=data "$IMAGE" 512k
io_commands "$IMAGE" 'write -P 1 0 128k' 'write -P 2 130k 3k' 'write -z 66k 4k' 'write -z 0 64k' 'discard 64k 64k' 'write -P 3 70k 1k' \
    'write -c 256k 64k'
extended_entries "$IMAGE"
img map -f qcow2 --output=json "$IMAGE"
io_commands "$IMAGE" 'read -P 0 0 70k' 'read -P 3 70k 1k' 'read -P 0 71k 59k' 'read -P 2 130k 3k'
img check -f qcow2 "$IMAGE"
io -f raw -c 'read -P 3 70k 1k' -c 'read -P 2 130k 3k' data

say "a raw data file"
quiet img create -f qcow2 -o extended_l2=on,data_file=data,data_file_raw=on "$IMAGE" 512k
io_commands "$IMAGE" 'write -P 1 0 128k' 'write -z 66k 4k' 'write -z 1k 512' 'discard 0 64k' 'write -P 2 2k 2k'
extended_entries "$IMAGE"
img compare -f qcow2 -F raw "$IMAGE" data
img check -f qcow2 "$IMAGE"

say "LUKS"
quiet img create -f qcow2 --object secret,id=s,data=pw -o extended_l2=on,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 "$IMAGE" 512k
luks() {
    io --object secret,id=s,data=pw --image-opts "$@" "driver=qcow2,encrypt.key-secret=s,file.filename=$IMAGE"
}
luks -c 'write -P 1 1k 512' -c 'write -P 2 60k 70k' -c 'write -z 70k 4k' -c 'write -P 3 71k 1k' -c 'write -c -P 4 256k 64k' -c 'write -P 5 257k 512'
luks -c 'read -P 0 0 1k' -c 'read -P 1 1k 512' -c 'read -P 0 1536 59904' -c 'read -P 2 60k 10k' -c 'read -P 0 70k 1k' -c 'read -P 3 71k 1k' \
    -c 'read -P 0 72k 2k' -c 'read -P 2 74k 56k' -c 'read -P 4 256k 1k' -c 'read -P 5 257k 512'
img check --object secret,id=s,data=pw --image-opts "driver=qcow2,encrypt.key-secret=s,file.filename=$IMAGE"

say "lazy refcounts"
quiet img create -f qcow2 -o extended_l2=on,lazy_refcounts=on "$IMAGE" 512k
io_commands "$IMAGE" 'write -P 1 1k 512' 'write -z 0 1k' 'discard 0 64k' 'write -P 2 3k 1k' 'read -P 0 0 3k' 'read -P 2 3k 1k'
extended_entries "$IMAGE"
img check -f qcow2 "$IMAGE"

say "bitmaps"
img bitmap --add -f qcow2 "$IMAGE" dirty
io_commands "$IMAGE" 'write -P 3 200k 1k' 'write -z 300k 2k'
img check -f qcow2 "$IMAGE"
img amend -f qcow2 -o compat=0.10 "$IMAGE"
