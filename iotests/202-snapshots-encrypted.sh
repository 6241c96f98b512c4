#!/usr/bin/env bash
# title: snapshots of encrypted images
# breaks: a snapshot of an encrypted image is read with other sectors or other keys than it was written with
# groups: snapshot encrypt
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object "secret,id=sec0,data=astrochicken")
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0

on() {
    local command arguments=()
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io "${key[@]}" --image-opts "${arguments[@]}" "$image"
}

for options in encrypt.format=aes encrypt.format=luks,encrypt.iter-time=10; do
    say "$options"
    quiet img create -f qcow2 "${key[@]}" -o "$options,encrypt.key-secret=sec0,cluster_size=4k" "$IMAGE" 512k
    on 'write -P 1 0 256k'
    img snapshot "${key[@]}" --image-opts -c one "$image"
    on 'write -P 2 64k 64k' 'write -P 2 10000 100' 'write -P 2 300k 10k' 'write -z 128k 32k'
    img snapshot "${key[@]}" --image-opts -c two "$image"
    on 'write -P 3 0 512k'
    img snapshot "${key[@]}" --image-opts -l "$image"
    img convert "${key[@]}" --image-opts -l snapshot.name=one -O raw "$image" one.raw
    io -f raw -c 'read -P 1 0 256k' -c 'read -P 0 256k 256k' one.raw
    img convert "${key[@]}" --image-opts -l two -O raw "$image" two.raw
    io -f raw -c 'read -P 1 0 9000' -c 'read -P 2 10000 100' -c 'read -P 1 10100 50000' -c 'read -P 2 64k 64k' \
        -c 'read -P 0 128k 32k' -c 'read -P 2 300k 10k' two.raw
    img snapshot "${key[@]}" --image-opts -a two "$image"
    img compare "${key[@]}" --image-opts "$image" driver=raw,file.filename=two.raw
    img snapshot "${key[@]}" --image-opts -a one "$image"
    img compare "${key[@]}" --image-opts "$image" driver=raw,file.filename=one.raw
    img snapshot "${key[@]}" --image-opts -d two "$image"
    img snapshot "${key[@]}" --image-opts -d one "$image"
    on 'read -P 1 0 256k' 'write -P 4 1000 1000' 'read -P 4 1000 1000' 'read -P 1 2000 10000'
    img check "${key[@]}" --image-opts "$image"

    say "without the key, only what needs none"
    img snapshot -l -f qcow2 "$IMAGE"
    img snapshot -l "$IMAGE"
    img snapshot -c three "$IMAGE"
    img snapshot -c three -f qcow2 "$IMAGE"
done
