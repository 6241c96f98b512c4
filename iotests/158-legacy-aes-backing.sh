#!/usr/bin/env bash
# title: legacy AES over an encrypted base
# breaks: a copy-on-write of a part of a cluster takes the rest from the base under the wrong key, or not decrypted
# groups: encrypt backing rw
# formats: qcow qcow2
# requires: nothing
# origin: ours, from the one-line description "legacy AES with an encrypted backing file, partial-cluster copy-on-write"

. "$SUITE_COMMON"

keys=(--object "secret,id=sec0,data=astrochicken" --object "secret,id=sec1,data=platypus")
base=driver=$IMAGE_FORMAT,file.filename=base,encrypt.key-secret=sec0
top=driver=$IMAGE_FORMAT,file.filename=$IMAGE,encrypt.key-secret=sec1
chain=$top,backing.driver=$IMAGE_FORMAT,backing.file.filename=base,backing.encrypt.key-secret=sec0

on() {
    local image=$1 command arguments=()
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io "${keys[@]}" --image-opts "${arguments[@]}" "$image"
}

say "a base with one key, a top with another"
img create -f "$IMAGE_FORMAT" "${keys[@]}" -o encryption=on,encrypt.key-secret=sec0 base 512k
on "$base" 'write -P 0xa 0 384k' 'read -P 0xa 0 384k' 'read -P 0 384k 128k'
img create -u -f "$IMAGE_FORMAT" "${keys[@]}" -o encryption=on,encrypt.key-secret=sec1 -b base -F "$IMAGE_FORMAT" "$IMAGE" 512k
on "$chain" 'read -P 0xa 0 384k' 'read -P 0 384k 128k'

say "the base's key has to come from somewhere"
on "$top" 'read 0 512'
io -f "$IMAGE_FORMAT" -c 'read 0 512' "$IMAGE"

say "parts of clusters: start, middle, end, over a border, over the end of the data"
on "$chain" 'write -P 0xb 0 1k' 'write -P 0xb 70k 3k' 'write -P 0xb 191k 1k' 'write -P 0xb 250k 12k' 'write -P 0xb 380k 8k' \
    'write -P 0xb 100000 1'
on "$chain" 'read -P 0xb 0 1k' 'read -P 0xa 1k 69k' 'read -P 0xb 70k 3k' 'read -P 0xa 73k 20k' 'read -P 0xb 100000 1' \
    'read -P 0xa 100001 90000' 'read -P 0xb 191k 1k' 'read -P 0xa 192k 58k' 'read -P 0xb 250k 12k' 'read -P 0xa 262k 118k' \
    'read -P 0xb 380k 8k' 'read -P 0 388k 124k'
on "$base" 'read -P 0xa 0 384k' 'read -P 0 384k 128k'

say "with the base's key wrong, the top's own data is right and the rest is not"
swapped=$top,backing.driver=$IMAGE_FORMAT,backing.file.filename=base,backing.encrypt.key-secret=sec1
on "$swapped" 'read -P 0xb 70k 3k' 'read -P 0xa 384 512' 'read -P 0xa 128k 32k'

say "into one image"
img convert "${keys[@]}" --image-opts -O raw "$chain" out.raw
io -f raw -c 'read -P 0xb 70k 3k' -c 'read -P 0xa 73k 20k' -c 'read -P 0xb 380k 8k' -c 'read -P 0 388k 124k' out.raw
img compare "${keys[@]}" --image-opts "$chain" driver=raw,file.filename=out.raw

say "a plain top over an encrypted base, and the other way round"
img create -u -f "$IMAGE_FORMAT" -b base -F "$IMAGE_FORMAT" plain 512k
mixed=driver=$IMAGE_FORMAT,file.filename=plain,backing.driver=$IMAGE_FORMAT,backing.file.filename=base,backing.encrypt.key-secret=sec0
on "$mixed" 'write -P 0xc 10k 3k' 'read -P 0xa 0 10k' 'read -P 0xc 10k 3k' 'read -P 0xa 13k 50k'
quiet img create -f raw base.raw 512k
quiet io -f raw -c 'write -P 0xd 0 512k' base.raw
quiet img create -f "$IMAGE_FORMAT" "${keys[@]}" -o encryption=on,encrypt.key-secret=sec1 -b base.raw -F raw "$IMAGE"
on "$top" 'write -P 0xe 10k 3k' 'read -P 0xd 0 10k' 'read -P 0xe 10k 3k' 'read -P 0xd 13k 499k'
