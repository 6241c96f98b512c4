#!/usr/bin/env bash
# title: IVs beside compressed clusters, preallocation and resize
# breaks: a cluster that was compressed, preallocated or moved is written in clear or under another number
# groups: iv encrypt compress resize
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object secret,id=sec0,data=astrochicken)
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0

on() {
    local command arguments=()
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    quiet io "${key[@]}" --image-opts "${arguments[@]}" "$image"
}

judged() {
    judge "${key[@]}" --key-secret sec0 "$IMAGE"
}

for options in encrypt.format=aes encrypt.format=luks,encrypt.iter-time=10 encrypt.format=luks,encrypt.iter-time=10,compression_type=zstd; do
    say "$options: compressed, then written over in part"
    quiet img create -f qcow2 "${key[@]}" -o "$options,encrypt.key-secret=sec0" "$IMAGE" 1M
    cp "$IMAGE" fresh
    on 'write -c -P 0x11 0 64k' 'write -c -P 0x12 64k 64k' 'write -P 0x13 256k 64k'
    judged
    on 'write -P 0x21 66k 2k'
    judged

    say "$options: compressed by convert"
    quiet img create -f raw plain.raw 1M
    quiet io -f raw -c 'write -P 0x31 0 100k' plain.raw
    cp fresh "$IMAGE"
    quiet img convert -n -c "${key[@]}" --image-opts --target-image-opts driver=raw,file.filename=plain.raw "$image"
    judged

    say "$options: larger, smaller"
    cp fresh "$IMAGE"
    on 'write -P 0x41 0 1M'
    quiet img resize "${key[@]}" --image-opts --shrink "$image" 512k
    quiet img resize "${key[@]}" --image-opts "$image" 2M
    on 'write -P 0x42 1500k 100k'
    judged
done

for mode in metadata full; do
    say "preallocation=$mode"
    quiet img create -f qcow2 "${key[@]}" -o "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=sec0,preallocation=$mode" "$IMAGE" 512k
    on 'write -P 0x51 65k 2k' 'write -P 0x52 128k 64k'
    judged
done
