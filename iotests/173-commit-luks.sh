#!/usr/bin/env bash
# title: commit of a LUKS layer into a LUKS base
# breaks: a commit between two encrypted layers mixes up their keys or loses a header
# groups: encrypt commit info
# formats: qcow2
# requires: nothing
# origin: ours, from the one-line description "commit of a LUKS layer into a LUKS base, then info of both (salts and uuid filtered)"

. "$SUITE_COMMON"

keys=(--object "secret,id=sec0,data=astrochicken" --object "secret,id=sec1,data=platypus")
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

say "two layers"
img create -f qcow2 "${keys[@]}" -o encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10 base 1M
on "$base" 'write -P 0xa 0 1M'
img create -u -f qcow2 "${keys[@]}" -o encrypt.format=luks,encrypt.key-secret=sec1,encrypt.iter-time=10,encrypt.cipher-alg=aes-128 \
    -b base -F qcow2 "$IMAGE" 1M
on "$chain" 'write -P 0xb 100k 100k' 'write -z 512k 64k' 'read -P 0xa 0 100k' 'read -P 0xb 100k 100k' 'read -P 0xa 200k 300k'

say "commit"
img commit "${keys[@]}" --image-opts "$chain"

say "all of it is in the base"
on "$base" 'read -P 0xa 0 100k' 'read -P 0xb 100k 100k' 'read -P 0xa 200k 312k' 'read -P 0 512k 64k' 'read -P 0xa 576k 448k'
on "$chain" 'read -P 0xb 100k 100k' 'read -P 0 512k 64k' 'read -P 0xa 576k 448k'
img check "${keys[@]}" --image-opts "$base"
img check "${keys[@]}" --image-opts "$top" | grep -v offset

say "info of both"
img info -f qcow2 base | grep -v 'file length'
img info -f qcow2 "$IMAGE" | grep -v 'file length'

say "without a key"
img commit -f qcow2 "$IMAGE"
img commit "${keys[@]}" --image-opts "$top"
