#!/usr/bin/env bash
# title: legacy AES
# breaks: what is written to a legacy AES image does not come back, a part of a cluster overwrites its rest, or a wrong password is noticed where nothing can notice it
# groups: encrypt rw
# formats: qcow qcow2
# requires: nothing
# origin: ours, from the one-line description "legacy AES: read a new image, rewrite part of a cluster, whole image, verify, wrong password gives wrong data, not an error"

. "$SUITE_COMMON"

right=(--object "secret,id=sec0,data=astrochicken")
wrong=(--object "secret,id=sec0,data=platypus")
image=driver=$IMAGE_FORMAT,file.filename=$IMAGE,encrypt.key-secret=sec0

# A tool with the password, commands on the image.
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
img create -f "$IMAGE_FORMAT" "${right[@]}" -o encryption=on,encrypt.key-secret=sec0 "$IMAGE" 1M
img info -f "$IMAGE_FORMAT" "$IMAGE"

say "a new image is zeros, with any password"
with right 'read -P 0 0 1M'
with wrong 'read -P 0 0 1M'

say "a part of a cluster"
with right 'write -P 0xa 0 64k' 'read -P 0xa 0 64k'
with right 'write -P 0xb 17k 5k' 'read -P 0xa 0 17k' 'read -P 0xb 17k 5k' 'read -P 0xa 22k 42k'
with right 'write -P 0xc 1000 1' 'read -P 0xa 0 1000' 'read -P 0xc 1000 1' 'read -P 0xa 1001 15k'
with right 'write -P 0xd 200000 3000' 'read -P 0 190000 10000' 'read -P 0xd 200000 3000' 'read -P 0 203000 10000'
with right 'write -P 0xe 510 4' 'read -P 0xe 510 4' 'read -P 0xa 0 510'

say "all of it, in another process"
with right 'write -P 0x7 0 1M'
with right 'read -P 0x7 0 1M'

say "another password gives other bytes and no error"
with wrong 'read -P 0x7 0 64k' 'read -P 0 0 64k'
with right 'read -P 0x7 0 1M'

say "what a wrong password writes is for that password"
with wrong 'write -P 0x9 64k 512'
with right 'read -P 0x9 64k 512' 'read -P 0x7 66048 512'
with wrong 'read -P 0x9 64k 512'

say "zeros, written and punched"
with right 'write -P 0 128k 64k' 'read -P 0 128k 64k' 'write -z 256k 64k' 'read -P 0 256k 64k' 'read -P 0x7 192k 64k'
with wrong 'read -P 0 128k 64k'

say "the same bytes at two places are other ciphertext, the same place the same"
if [ "$IMAGE_FORMAT" = qcow2 ]; then
    quiet img create -f qcow2 "${right[@]}" -o encryption=on,encrypt.key-secret=sec0 "$IMAGE" 1M
    with right 'write -P 0x41 0 64k' 'write -P 0x41 64k 64k'
    first=$(peek "$IMAGE" 327680 32)
    second=$(peek "$IMAGE" 393216 32)
    [ "$first" != "$second" ] && echo "two places: other ciphertext"
    echo "$first"
fi

say "out of it, and into another"
img convert "${right[@]}" --image-opts -O raw "$image" out.raw
img compare "${right[@]}" --image-opts "$image" driver=raw,file.filename=out.raw
img convert "${right[@]}" -f raw -O "$IMAGE_FORMAT" -o encryption=on,encrypt.key-secret=sec0 out.raw "copy.$IMAGE_FORMAT"
img compare "${right[@]}" --image-opts "$image" "driver=$IMAGE_FORMAT,file.filename=copy.$IMAGE_FORMAT,encrypt.key-secret=sec0"

say "passwords longer than the key, and as long as it"
for password in 0123456789abcdef 0123456789abcdefXYZ 0; do
    key=(--object "secret,id=sec0,data=$password")
    quiet img create -f "$IMAGE_FORMAT" "${key[@]}" -o encryption=on,encrypt.key-secret=sec0 "$IMAGE" 64k
    io "${key[@]}" --image-opts -c 'write -P 0x33 0 64k' "$image"
    io --object secret,id=sec0,data=0123456789abcdef --image-opts -c 'read -P 0x33 0 64k' "$image"
done
