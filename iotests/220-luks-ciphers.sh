#!/usr/bin/env bash
# title: LUKS: every cipher, mode, IV generator and hash
# breaks: a volume is made that no other tool opens, or written with another cipher than its header says
# groups: encrypt rw create
# formats: luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object "secret,id=sec0,data=astrochicken")
wrong=(--object "secret,id=sec0,data=platypus")
image=driver=luks,file.filename=$IMAGE,key-secret=sec0

try() {
    say "$1"
    rm -f "$IMAGE"
    img create -f luks "${key[@]}" -o "key-secret=sec0,iter-time=10,$1" "$IMAGE" 256k
    [ "$status" -eq 0 ] || return
    img info -f luks "$IMAGE" | grep -E 'alg|mode|payload'
    io "${key[@]}" --image-opts -c 'write -P 1 0 256k' -c 'write -P 2 1000 3000' -c 'read -P 1 0 1000' -c 'read -P 2 1000 3000' -c 'read -P 1 4000 200000' \
        "$image" | grep -v ops
    io "${wrong[@]}" --image-opts -c 'read 0 512' "$image"
}

try cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=plain,hash-alg=sha1
try cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=plain64,hash-alg=sha512
try cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=sha256
try cipher-alg=aes-128,cipher-mode=xts,ivgen-alg=plain,hash-alg=sha512
try cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,hash-alg=sha1
try cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=essiv
try cipher-alg=aes-512
try cipher-mode=nonsense
try hash-alg=nonsense

say "the header"
peek "$IMAGE" 0 112 2>&1 | head -n 1
quiet img create -f luks "${key[@]}" -o key-secret=sec0,iter-time=10 "$IMAGE" 256k
peek "$IMAGE" 0 112

say "without a key, with an empty one, with a long one"
img create -f luks "$IMAGE" 64k
img create -f luks -o key-secret=sec0 "$IMAGE" 64k
empty=(--object secret,id=sec0,data=)
img create -f luks "${empty[@]}" -o key-secret=sec0,iter-time=10 "$IMAGE" 64k
io "${empty[@]}" --image-opts -c 'read 0 512' "$image"

say "convert: in, out, and compare"
quiet img create -f raw plain.raw 256k
quiet io -f raw -c 'write -P 3 0 100k' -c 'write -P 4 200k 50k' plain.raw
img convert "${key[@]}" -f raw -O luks -o key-secret=sec0,iter-time=10 plain.raw "$IMAGE"
img compare "${key[@]}" --image-opts driver=raw,file.filename=plain.raw "$image"
img convert "${key[@]}" --image-opts -O raw "$image" out.raw
same_bytes plain.raw out.raw
img convert "${key[@]}" --image-opts -n --target-image-opts driver=raw,file.filename=plain.raw "$image"
img measure -O luks "${key[@]}" -o key-secret=sec0 --size 1M
img resize "${key[@]}" --image-opts "$image" 512k
io "${key[@]}" --image-opts -c length -c 'read -P 3 0 100k' "$image"
img check -f luks "$IMAGE"
img snapshot -l -f luks "$IMAGE"
