#!/usr/bin/env bash
# title: key slots: added, erased, refused
# breaks: a password is lost, or one that was taken away still opens the image
# groups: encrypt options
# formats: luks qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

case $IMAGE_FORMAT in
    luks) prefix='' ;;
    *) prefix=encrypt. ;;
esac
secrets=(--object secret,id=one,data=first --object secret,id=two,data=second --object secret,id=three,data=third)
image=driver=$IMAGE_FORMAT,file.filename=$IMAGE,${prefix}key-secret

# amend UNLOCKING-SECRET OPTION=VALUE…, options without their prefix
amend() {
    local unlocking=$1 option options=''
    shift
    for option in "$@"; do
        options+=,$prefix$option
    done
    img amend ${force:-} "${secrets[@]}" -o "${options#,}" --image-opts "$image=$unlocking"
}

slots() {
    "$QEMU_IMG" info -f "$IMAGE_FORMAT" "$IMAGE" | grep -A 1 -E '^ *\[[0-7]\]:' | grep -B 1 'active: true' | grep -o '[0-7]' | tr -d '\n'
    echo ' in use'
    for one in one two three; do
        "$QEMU_IO" "${secrets[@]}" --image-opts -c 'read -P 0x41 0 64k' "$image=$one" 2>&1 | grep -q '^read 65536' && echo "$one opens it"
    done
}

if [ "$IMAGE_FORMAT" = luks ]; then
    quiet img create -f luks "${secrets[@]}" -o key-secret=one,iter-time=10 "$IMAGE" 1M
else
    quiet img create -f qcow2 "${secrets[@]}" -o encrypt.format=luks,encrypt.key-secret=one,encrypt.iter-time=10 "$IMAGE" 1M
fi
quiet io "${secrets[@]}" --image-opts -c 'write -P 0x41 0 64k' "$image=one"
slots

say "added: the first free slot, then one by its number"
amend one state=active new-secret=two iter-time=10
amend two state=active new-secret=three iter-time=10 keyslot=5
slots

say "what is wrong with options"
amend one state=active
amend one state=active old-secret=one
amend one state=active new-secret=two keyslot=8
amend one state=active new-secret=two keyslot=-1
amend one state=active new-secret=missing
amend one state=active new-secret=two keyslot=0
amend one state=inactive
amend one state=inactive new-secret=two keyslot=1
amend one state=inactive iter-time=10 keyslot=1
amend one state=inactive keyslot=8
amend one state=inactive keyslot=1 old-secret=one
amend one state=inactive keyslot=3
amend one state=nonsense
amend one keyslot=1
amend one cipher-alg=aes-128
amend one nonsense=1
amend one
img amend -f "$IMAGE_FORMAT" -o "${prefix}state=active" "$IMAGE"
img amend "${secrets[@]}" -o "${prefix}state=active,${prefix}new-secret=two" --image-opts "$image=missing"
slots

say "erased: by the secret, by the slot"
cp "$IMAGE" before
amend one state=inactive old-secret=two
slots
amend one state=inactive keyslot=5
slots
amend two state=active new-secret=two

say "the last one stays"
amend one state=inactive keyslot=0
amend one state=inactive old-secret=one
slots

say "unless it is forced"
force=--force
amend one state=inactive keyslot=3
amend one state=active new-secret=three keyslot=0 iter-time=10
slots
amend three state=inactive old-secret=three
slots
force=

say "the key material of an erased slot is overwritten, 40 times in the end with noise"
# Slot 1 was in use in the copy; its material is not there any more.
area=0
if [ "$IMAGE_FORMAT" = qcow2 ]; then
    area=$(number "$IMAGE" 120 8)
fi
material() {
    dd if="$1" bs=512 skip=$((area / 512 + 512)) count=500 status=none
}
if cmp -s <(material before) <(material "$IMAGE"); then
    echo "still there"
else
    echo "$(cmp -l <(material before) <(material "$IMAGE") | wc -l)" | awk '{ print ($1 > 250000) ? "gone" : "in part" }'
fi

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "images that have none"
    quiet img create -f qcow2 "$IMAGE" 1M
    img amend "${secrets[@]}" -o encrypt.state=active,encrypt.new-secret=two "$IMAGE"
    quiet img create -f qcow2 "${secrets[@]}" -o encrypt.format=aes,encrypt.key-secret=one "$IMAGE" 1M
    amend one state=active new-secret=two
fi
