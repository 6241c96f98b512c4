#!/usr/bin/env bash
# title: IVs of LUKS by itself
# breaks: a volume is encrypted under other numbers than its sectors behind the header
# groups: iv encrypt convert resize
# formats: luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key=(--object secret,id=sec0,data=astrochicken)
image=driver=luks,file.filename=$IMAGE,key-secret=sec0

for options in cipher-mode=xts cipher-mode=cbc,ivgen-alg=plain cipher-mode=cbc,ivgen-alg=essiv cipher-mode=ctr,cipher-alg=serpent-256; do
    say "$options"
    quiet img create -f luks "${key[@]}" -o "key-secret=sec0,iter-time=10,$options" "$IMAGE" 1M
    quiet io "${key[@]}" --image-opts -c 'write -P 0x11 0 128k' -c 'write -P 0x12 1000 100' -c 'write -P 0x13 300k 5000' \
        -c 'write -z 64k 4k' -c 'discard 96k 8k' -c 'write -P 0x14 1023k 1k' "$image"
    judge "${key[@]}" --key-secret sec0 "$IMAGE"
done

say "converted, then resized"
quiet img create -f raw plain.raw 1M
quiet io -f raw -c 'write -P 0x21 0 100k' -c 'write -P 0x22 300k 700k' plain.raw
quiet img convert -O luks "${key[@]}" -o key-secret=sec0,iter-time=10 plain.raw "$IMAGE"
judge "${key[@]}" --key-secret sec0 "$IMAGE"
quiet img resize "${key[@]}" --image-opts "$image" 2M
quiet io "${key[@]}" --image-opts -c 'write -P 0x23 1500k 64k' "$image"
judge "${key[@]}" --key-secret sec0 "$IMAGE"
