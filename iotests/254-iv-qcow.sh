#!/usr/bin/env bash
# title: IVs of qcow
# breaks: an encrypted qcow image is written under other numbers than the guest's sectors
# groups: iv encrypt backing compress
# formats: qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object secret,id=sec0,data=astrochicken)
image=driver=qcow,file.filename=$IMAGE,encrypt.key-secret=sec0

on() {
    local command arguments=()
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    quiet io "${key[@]}" --image-opts "${arguments[@]}" "$image"
}

say "written, and written again"
quiet img create -f qcow "${key[@]}" -o encrypt.format=aes,encrypt.key-secret=sec0 "$IMAGE" 1M
on 'write -P 0x11 0 128k' 'write -P 0x12 5000 3000' 'write -P 0x13 900k 10k' 'write -P 0x14 128k 512' 'write -z 64k 8k'
judge "${key[@]}" --key-secret sec0 "$IMAGE"

say "compressed clusters stay as they are"
on 'write -c -P 0x21 512k 4k' 'write -c -P 0x22 516k 4k'
judge "${key[@]}" --key-secret sec0 "$IMAGE"

say "on a backing file"
quiet img create -f raw base.raw 1M
quiet io -f raw -c 'write -P 0x31 0 1M' base.raw
quiet img create -f qcow "${key[@]}" -b base.raw -F raw -o encrypt.format=aes,encrypt.key-secret=sec0 "$IMAGE"
on 'write -P 0x32 4k 8k' 'write -P 0x33 100k 512'
judge "${key[@]}" --key-secret sec0 "$IMAGE"
