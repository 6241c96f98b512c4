#!/usr/bin/env bash
# title: hostile LUKS headers
# breaks: a forged header makes a consumer crash, spend or open with the wrong key
# groups: hostile encrypt
# formats: luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object "secret,id=sec0,data=astrochicken")
image=driver=luks,file.filename=$IMAGE,key-secret=sec0
quiet img create -f luks "${key[@]}" -o key-secret=sec0,iter-time=10 good 64k

try() {
    before=$(cksum <"$IMAGE")
    img info -f luks "$IMAGE" | grep -E '^(image|virtual|qemu-img|stderr|exit)'
    io "${key[@]}" --image-opts -r -c 'read 0 512' "$image"
    [ "$before" = "$(cksum <"$IMAGE")" ] || echo "the file was changed"
}

# fault WHAT SIZE OFFSET VALUE; text WHAT OFFSET BYTES
fault() {
    say "$1"
    cp good "$IMAGE"
    "poke$2" "$IMAGE" "$3" "$4"
    try
}

text() {
    say "$1"
    cp good "$IMAGE"
    poke "$IMAGE" "$2" "$3"
    try
}

text "magic" 0 'LUKX'
fault "version 0" 16 6 0
fault "version 2" 16 6 2
text "a cipher that is none" 8 'rot13\0'
text "a mode that is none" 40 'ecb-plain\0'
text "a mode without an IV generator" 40 'xts\0'
text "an IV generator that is none" 40 'xts-plain65\0'
text "essiv without a hash" 40 'cbc-essiv\0'
text "essiv with a hash that is none" 40 'cbc-essiv:sha3\0'
text "a hash that is none" 72 'sha3\0'
text "a cipher without an end" 8 'aesaesaesaesaesaesaesaesaesaesaes'
text "a hash without an end" 72 'sha256sha256sha256sha256sha256sha256'
fault "payload at 0" 32 104 0
fault "payload behind the end" 32 104 0xffffffff
fault "payload over the key material" 32 104 8
fault "key of 0 bytes" 32 108 0
fault "key of 2^30 bytes" 32 108 0x40000000
fault "key of 24 bytes for xts" 32 108 24
fault "key digest is another" 32 112 0x12345678
fault "slot 0 neither on nor off" 32 208 0x12345678
fault "slot 0 off" 32 208 0x0000dead
fault "slot 0 with 1 stripe" 32 252 1
fault "slot 0 with 0 stripes" 32 252 0
fault "slot 0 over the header" 32 248 0
fault "slot 0 over slot 1" 32 248 504
fault "slot 0 behind the payload" 32 248 0x00ffffff
fault "slot 1 over slot 0" 32 296 8
fault "slot 0 with another salt" 32 216 0x12345678

say "cut off"
for length in 0 6 100 591 592 1024 4096 100000; do
    head -c "$length" good >"$IMAGE"
    try
done
