#!/usr/bin/env bash
# title: IVs of snapshots and VM state
# breaks: versions of a sector that snapshots keep are encrypted under one key and IV, or under a number that no other tool expects
# groups: iv encrypt snapshot
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

snapshot() {
    quiet img snapshot "${key[@]}" --image-opts "$@" "$image"
}

judged() {
    judge "${key[@]}" --key-secret sec0 "$IMAGE"
}

history() {
    say "$1: a disk and a VM state"
    quiet img create -f qcow2 "${key[@]}" -o "$1,encrypt.key-secret=sec0" "$IMAGE" 1M
    on 'write -P 0x11 0 128k' 'write -P 0x12 200k 10k' 'write -b -P 0x51 0 8k'
    judged

    say "$1: written again above two snapshots, whole clusters and parts of them"
    snapshot -c one
    on 'write -P 0x21 68k 4k' 'write -P 0x22 1000 100' 'write -b -P 0x52 512 512'
    snapshot -c two
    on 'write -P 0x31 0 64k' 'write -P 0x32 130k 3k' 'write -z 200k 4k' 'write -P 0x33 960k 64k'
    judged

    say "$1: clusters that were freed are used again"
    snapshot -d one
    on 'write -P 0x41 512k 192k' 'discard 512k 64k' 'write -P 0x42 768k 32k' 'write -b -P 0x53 4k 4k'
    judged

    say "$1: back to the snapshot"
    snapshot -a two
    on 'write -P 0x61 66k 1k' 'write -P 0x62 300k 100k'
    judged
    img check "${key[@]}" --image-opts "$image" | grep -v -E 'allocated|end offset'
}

history encrypt.format=aes
history encrypt.format=aes,cluster_size=4k
history encrypt.format=luks,encrypt.iter-time=10
history encrypt.format=luks,encrypt.iter-time=10,cluster_size=4k,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv
history encrypt.format=luks,encrypt.iter-time=10,extended_l2=on
