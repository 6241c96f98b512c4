#!/usr/bin/env bash
# title: opening encrypted images
# breaks: an encrypted image is opened without its key or with another one, or its key is asked for in another place of the option tree
# groups: encrypt io options
# formats: qcow qcow2 luks
# requires: nothing
# origin: ours, from the one-line description "opening encrypted images through the option tree: missing key, wrong key, legacy AES refused or accepted, LUKS, broken image"

. "$SUITE_COMMON"

right=(--object "secret,id=sec0,data=the right one")
wrong=(--object "secret,id=sec0,data=the wrong one")
image=driver=$IMAGE_FORMAT,file.driver=file,file.filename=$IMAGE

# An image written with a key, and what is said with it, without it, and with another.
try() {
    local prefix=$1
    local key=${prefix}key-secret
    say "the key"
    io "${right[@]}" --image-opts -c 'read -P 0x5a 0 64k' -c 'read -P 0 64k 64k' "$image,$key=sec0"
    img map "${right[@]}" --output=json --image-opts "$image,$key=sec0"
    img compare "${right[@]}" --image-opts "$image,$key=sec0" "$image,$key=sec0"

    say "another key"
    io "${wrong[@]}" --image-opts -c 'read -P 0x5a 0 64k' "$image,$key=sec0"
    img convert "${wrong[@]}" --image-opts -n "$image,$key=sec0" out.raw
    img map "${wrong[@]}" --image-opts "$image,$key=sec0"

    say "no key"
    io -c 'read 0 512' -f "$IMAGE_FORMAT" "$IMAGE"
    io --image-opts -c 'read 0 512' "$image"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image"
    img map -f "$IMAGE_FORMAT" "$IMAGE"
    img convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" out.raw
    img info -f "$IMAGE_FORMAT" "$IMAGE" | head -n 5

    say "a key that is nowhere"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,$key=sec1"
    io --image-opts -c 'read 0 512' "$image,$key=sec0"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,$key="

    say "keys in wrong places of the tree"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,file.$key=sec0"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,${prefix}nonsense=1,$key=sec0"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,encrypt.$key=sec0"
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,keysecret=sec0"
}

case $IMAGE_FORMAT in
    luks)
        quiet img create -f luks "${right[@]}" -o key-secret=sec0,iter-time=10 "$IMAGE" 128k
        quiet io "${right[@]}" --image-opts -c 'write -P 0x5a 0 64k' "$image,key-secret=sec0"
        try ''
        ;;
    *)
        quiet img create -f "$IMAGE_FORMAT" "${right[@]}" -o encryption=on,encrypt.key-secret=sec0 "$IMAGE" 128k
        quiet io "${right[@]}" --image-opts -c 'write -P 0x5a 0 64k' "$image,encrypt.key-secret=sec0"
        try encrypt.
        say "the method, said and wrongly said"
        io "${right[@]}" --image-opts -c 'read -P 0x5a 0 64k' "$image,encrypt.format=aes,encrypt.key-secret=sec0"
        io "${right[@]}" --image-opts -c 'read 0 512' "$image,encrypt.format=luks,encrypt.key-secret=sec0"
        io "${right[@]}" --image-opts -c 'read 0 512' "$image,encrypt.format=nonsense,encrypt.key-secret=sec0"
        ;;
esac

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "LUKS in qcow2"
    quiet img create -f qcow2 "${right[@]}" -o encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10 "$IMAGE" 128k
    quiet io "${right[@]}" --image-opts -c 'write -P 0x5a 0 64k' "$image,encrypt.key-secret=sec0"
    try encrypt.
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,encrypt.format=aes,encrypt.key-secret=sec0"
    io "${right[@]}" --image-opts -c 'read -P 0x5a 0 64k' "$image,encrypt.format=luks,encrypt.key-secret=sec0"
fi

say "a broken LUKS header"
if [ "$IMAGE_FORMAT" = luks ]; then
    poke "$IMAGE" 0 'LUKX'
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,key-secret=sec0"
    poke "$IMAGE" 0 'LUKS'
    poke16 "$IMAGE" 6 2
    io "${right[@]}" --image-opts -c 'read 0 512' "$image,key-secret=sec0"
fi

say "a key for an image that has no lock"
quiet img create -f qcow2 plain.qcow2 128k
io "${right[@]}" --image-opts -c 'read 0 512' driver=qcow2,file.filename=plain.qcow2,encrypt.key-secret=sec0
io "${right[@]}" --image-opts -c 'read 0 512' driver=qcow2,file.filename=plain.qcow2,encrypt.format=luks,encrypt.key-secret=sec0
quiet img create -f raw plain.raw 128k
io "${right[@]}" --image-opts -c 'read 0 512' driver=raw,file.filename=plain.raw,encrypt.key-secret=sec0
io "${right[@]}" --image-opts -c 'read 0 512' driver=luks,file.filename=plain.raw,key-secret=sec0
