#!/usr/bin/env bash
# title: IVs of a data file
# breaks: the ciphertext in an external data file is under other numbers than its sectors, or is none
# groups: iv encrypt
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object secret,id=sec0,data=astrochicken)
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0

for options in encrypt.format=aes encrypt.format=luks,encrypt.iter-time=10 encrypt.format=luks,encrypt.iter-time=10,data_file_raw=on; do
    say "$options"
    quiet img create -f qcow2 "${key[@]}" -o "$options,encrypt.key-secret=sec0,data_file=data" "$IMAGE" 1M
    quiet io "${key[@]}" --image-opts -c 'write -P 0x11 0 128k' -c 'write -P 0x12 200k 10k' -c 'write -P 0x13 1000 100' \
        -c 'write -P 0x14 68k 4k' "$image"
    judge "${key[@]}" --key-secret sec0 --data-file data "$IMAGE"
done
