#!/usr/bin/env bash
# title: where published texts about encryption and the tools disagree
# breaks: somebody trusts the text: keys, numbers or header fields are not what the tools make of them
# groups: encrypt create info
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

key() {
    object=(--object "secret,id=sec0,data=$1")
}

image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0
volume=driver=luks,file.filename=volume,key-secret=sec0

say "1, 2: legacy AES has a key of 16 bytes and notices no wrong one"
key astrochicken1234-and-more
quiet img create -f qcow2 "${object[@]}" -o encrypt.format=aes,encrypt.key-secret=sec0 "$IMAGE" 1M
io "${object[@]}" --image-opts -c 'write -P 0x41 0 64k' "$image"
key astrochicken1234
io "${object[@]}" --image-opts -c 'read -P 0x41 0 64k' "$image"
key platypus
io "${object[@]}" --image-opts -c 'read 0 64k' "$image"

say "13: what needs the key"
img info "$IMAGE" | grep encrypt
img check "$IMAGE"
img resize "$IMAGE" 2M
img rebase -u -b '' "$IMAGE"
img bitmap --add "$IMAGE" b0

key astrochicken
say "9, 10: LUKS in version 2, and how long its header is said to be"
quiet img create -f qcow2 "${object[@]}" -o compat=0.10,encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=sec0 "$IMAGE" 1M
peek "$IMAGE" 72 8
number "$IMAGE" 80 8
number "$IMAGE" 88 8
io "${object[@]}" --image-opts -c 'read -P 0 0 64k' "$image"

say "5: a raw data file holds ciphertext, and what was never written reads as garbage"
quiet img create -f qcow2 "${object[@]}" -o encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=sec0,data_file=data,data_file_raw=on "$IMAGE" 128k
quiet io "${object[@]}" --image-opts -c 'write -P 0x41 0 64k' "$image"
if od -A n -v -t x1 -w16 data | grep -q '41 41 41 41 41 41 41 41'; then echo "in the clear"; else echo "no plaintext"; fi
io "${object[@]}" --image-opts -c 'read -P 0 64k 64k' "$image" | grep -v ops

say "11: preallocated, never written"
quiet img create -f qcow2 "${object[@]}" -o encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=sec0,preallocation=metadata "$IMAGE" 64k
io "${object[@]}" --image-opts -c 'read -P 0 0 64k' "$image" | grep -v ops

say "7: convert -c into a new encrypted image"
quiet img create -f raw plain.raw 64k
img convert -c -O qcow2 "${object[@]}" -o encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=sec0 plain.raw copy.qcow2

say "26, 27: a size that is no multiple of 512, and no time for PBKDF2"
quiet img create -f luks "${object[@]}" -o key-secret=sec0,iter-time=0 volume 1000
stat -c %s volume
number volume 164 4
number volume 212 4
io "${object[@]}" --image-opts -c length "$volume"

say "15: slots that are not in use are looked at"
cp volume other
poke32 other $((208 + 48 * 7 + 44)) 0
io "${object[@]}" --image-opts -c 'read 0 512' "${volume/volume/other}"

say "20, 25: no hash of the IV unless asked for; space that was never written"
peek volume 40 16
io "${object[@]}" --image-opts -c 'read -P 0 0 512' "$volume" | grep -v ops

say "19: a hash behind plain64"
cp volume other
poke other 40 'xts-plain64:sha1\0'
io "${object[@]}" --image-opts -c 'read 0 512' "${volume/volume/other}"
poke other 40 'xts-plain64:foo\0\0'
io "${object[@]}" --image-opts -c 'read 0 512' "${volume/volume/other}"

say "22: the option for a detached header"
img create -f luks "${object[@]}" -o key-secret=sec0,detached-header=on other 1M

say "24: a header that is in front of a payload, used as one of its own"
truncate -s 5M payload
img info --image-opts driver=luks,file.filename=payload,header.filename=volume | grep -E 'virtual size|detached|payload'

say "23: the empty string does not erase a key slot"
img amend "${object[@]}" -o new-secret=,state=active --image-opts "$volume"
img amend "${object[@]}" -o secret=sec0,state=active --image-opts "$volume"
