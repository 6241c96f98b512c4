#!/usr/bin/env bash
# title: LUKS headers in files of their own
# breaks: a header in a file of its own is not found, or belongs to another payload than it says
# groups: encrypt rw info resize convert
# formats: luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

secrets=(--object secret,id=one,data=first --object secret,id=two,data=second)
volume=driver=luks,file.filename=payload,header.filename=header,key-secret=one

# Made in front of a payload; a payload offset of 0 says that it is somewhere else.
quiet img create -f luks "${secrets[@]}" -o key-secret=one,iter-time=10 "$IMAGE" 64k
head -c 2068480 "$IMAGE" >header
poke32 header 104 0
truncate -s 1M payload

say "info, as text and as JSON"
img info --image-opts driver=luks,file.filename=payload,header.filename=header
img info --output=json --image-opts driver=luks,file.filename=payload,header.filename=header

say "written and read"
io "${secrets[@]}" --image-opts -c 'write -P 0x11 0 1M' -c 'write -P 0x12 1000 3000' -c 'read -P 0x11 0 1000' -c 'read -P 0x12 1000 3000' "$volume"
io "${secrets[@]}" -c 'read -P 0x12 1000 3000' 'json:{"driver": "luks", "key-secret": "one", "file": {"driver": "file", "filename": "payload"}, "header": {"driver": "file", "filename": "header"}}'
judge "${secrets[@]}" --key-secret one --payload payload header
stat -c %s header payload

say "resized, converted, compared"
img resize "${secrets[@]}" --image-opts "$volume" 2M
stat -c %s header payload
img convert "${secrets[@]}" --image-opts -O raw "$volume" plain.raw
io -f raw -c 'read -P 0x12 1000 3000' -c 'read -P 0x11 4000 1000000' plain.raw
img convert -n "${secrets[@]}" --image-opts --target-image-opts driver=raw,file.filename=plain.raw "$volume"
img compare "${secrets[@]}" --image-opts driver=raw,file.filename=plain.raw "$volume"

say "a key slot is added to the header's file"
img amend "${secrets[@]}" -o state=active,new-secret=two,iter-time=10 --image-opts "$volume"
io "${secrets[@]}" --image-opts -c 'read -P 0x12 1000 3000' "${volume/key-secret=one/key-secret=two}"

say "refused"
io "${secrets[@]}" --image-opts -c 'read 0 512' "${volume/header.filename=header/header.filename=missing}"
io "${secrets[@]}" --image-opts -c 'read 0 512' "${volume/header.filename=header/header.filename=payload}"
io "${secrets[@]}" --image-opts -c 'read 0 512' "${volume/key-secret=one/key-secret=missing}"
io "${secrets[@]}" --image-opts -c 'read 0 512' driver=luks,file.filename=header,key-secret=one
io "${secrets[@]}" --image-opts -c 'read 0 512' driver=luks,file.filename=payload,key-secret=one
io "${secrets[@]}" --image-opts -c 'read 0 512' driver=luks,header.filename=header,key-secret=one
img info header
