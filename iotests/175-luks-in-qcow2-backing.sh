#!/usr/bin/env bash
# title: LUKS in qcow2 over an encrypted base
# breaks: a copy-on-write of a part of a cluster takes the rest from the base under the wrong key, or not decrypted
# groups: encrypt backing rw
# formats: qcow2
# requires: nothing
# origin: ours, from the one-line description "LUKS in qcow2 with an encrypted backing file, partial-cluster copy-on-write"

. "$SUITE_COMMON"

keys=(--object "secret,id=sec0,data=astrochicken" --object "secret,id=sec1,data=platypus")
luks=encrypt.format=luks,encrypt.iter-time=10
base=driver=qcow2,file.filename=base,encrypt.key-secret=sec0
top=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec1
chain=$top,backing.driver=qcow2,backing.file.filename=base,backing.encrypt.key-secret=sec0

on() {
    local image=$1 command arguments=()
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io "${keys[@]}" --image-opts "${arguments[@]}" "$image"
}

say "a base with one key, a top with another, smaller clusters and another cipher"
img create -f qcow2 "${keys[@]}" -o "$luks,encrypt.key-secret=sec0" base 512k
on "$base" 'write -P 0xa 0 384k' 'read -P 0xa 0 384k' 'read -P 0 384k 128k'
img create -u -f qcow2 "${keys[@]}" -o "$luks,encrypt.key-secret=sec1,cluster_size=4k" \
    -o encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256 -b base -F qcow2 "$IMAGE" 640k
on "$chain" 'read -P 0xa 0 384k' 'read -P 0 384k 256k'

say "the base's key has to come from somewhere"
on "$top" 'read 0 512'

say "parts of clusters"
on "$chain" 'write -P 0xb 0 1k' 'write -P 0xb 70k 3k' 'write -P 0xb 191k 1k' 'write -P 0xb 250k 12k' 'write -P 0xb 383k 2k' \
    'write -P 0xb 100000 1' 'write -P 0xb 511k 2k'
on "$chain" 'read -P 0xb 0 1k' 'read -P 0xa 1k 69k' 'read -P 0xb 70k 3k' 'read -P 0xa 73k 20k' 'read -P 0xb 100000 1' \
    'read -P 0xa 100001 90000' 'read -P 0xb 191k 1k' 'read -P 0xa 192k 58k' 'read -P 0xb 250k 12k' 'read -P 0xa 262k 121k' \
    'read -P 0xb 383k 2k' 'read -P 0 385k 126k' 'read -P 0xb 511k 2k' 'read -P 0 513k 127k'
on "$base" 'read -P 0xa 0 384k' 'read -P 0 384k 128k'
img check "${keys[@]}" --image-opts "$top"

say "the base's key is wrong"
on "$top,backing.driver=qcow2,backing.file.filename=base,backing.encrypt.key-secret=sec1" 'read 0 512'

say "into one image"
img convert "${keys[@]}" --image-opts -O raw "$chain" out.raw
io -f raw -c 'read -P 0xb 70k 3k' -c 'read -P 0xa 73k 20k' -c 'read -P 0xb 383k 2k' -c 'read -P 0 513k 127k' out.raw
img compare "${keys[@]}" --image-opts "$chain" driver=raw,file.filename=out.raw

say "a LUKS top over a legacy AES base"
img create -f qcow2 "${keys[@]}" -o encrypt.format=aes,encrypt.key-secret=sec0 base 512k
on "$base" 'write -P 0xc 0 512k'
on "$chain" 'read -P 0xb 70k 3k' 'read -P 0xc 300k 80k' 'write -P 0xd 300001 3' 'read -P 0xc 299k 500' 'read -P 0xd 300001 3'
