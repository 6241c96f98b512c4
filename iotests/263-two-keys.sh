#!/usr/bin/env bash
# title: two images, two keys
# breaks: convert, compare, commit or rebase takes one image's key for the other's
# groups: encrypt convert compare commit rebase measure dd
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

secrets=(--object secret,id=one,data=first --object secret,id=two,data=second)

# name FORMAT FILE SECRET: the options that open an image.
name() {
    case $1 in
        raw) echo "driver=raw,file.filename=$2" ;;
        luks) echo "driver=luks,file.filename=$2,key-secret=$3" ;;
        aes | luks2) echo "driver=qcow2,file.filename=$2,encrypt.key-secret=$3" ;;
        qcow) echo "driver=qcow,file.filename=$2,encrypt.key-secret=$3" ;;
    esac
}

# new FORMAT FILE SECRET
new() {
    case $1 in
        raw) quiet img create -f raw "$2" 1M ;;
        luks) quiet img create -f luks "${secrets[@]}" -o "key-secret=$3,iter-time=10" "$2" 1M ;;
        aes) quiet img create -f qcow2 "${secrets[@]}" -o "encrypt.format=aes,encrypt.key-secret=$3" "$2" 1M ;;
        luks2) quiet img create -f qcow2 "${secrets[@]}" -o "encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=$3" "$2" 1M ;;
        qcow) quiet img create -f qcow "${secrets[@]}" -o "encrypt.format=aes,encrypt.key-secret=$3" "$2" 1M ;;
    esac
}

for pair in luks2:aes aes:luks qcow:luks2 luks:raw raw:qcow; do
    from=${pair%:*} to=${pair#*:}
    say "$from to $to"
    new "$from" from one
    new "$to" to two
    source=$(name "$from" from one) target=$(name "$to" to two)
    quiet io "${secrets[@]}" --image-opts -c 'write -P 0x11 0 1M' -c 'write -P 0x12 100k 300k' -c 'write -z 512k 64k' "$source"
    img convert -n "${secrets[@]}" --image-opts --target-image-opts "$source" "$target"
    img compare "${secrets[@]}" --image-opts "$source" "$target"
    quiet io "${secrets[@]}" --image-opts -c 'write -P 0x13 700k 512' "$target"
    img compare "${secrets[@]}" --image-opts "$source" "$target"
    [ "$from" = qcow ] || img compare "${secrets[@]}" --image-opts -s "$target" "$source"
done

say "the other's key"
img compare "${secrets[@]}" --image-opts "$(name luks2 to two)" "$(name aes from one)"
new luks2 from one
img compare "${secrets[@]}" --image-opts "$(name luks2 from two)" driver=raw,file.filename=to
img convert "${secrets[@]}" --image-opts -O raw "$(name luks2 from two)" out.raw
img convert "${secrets[@]}" --image-opts -O raw "$(name luks2 from missing)" out.raw
img convert -O raw from out.raw
img dd "${secrets[@]}" --image-opts if="$(name luks2 from two)" of=out.raw

say "commit: each layer has a key of its own"
new luks2 base one
quiet io "${secrets[@]}" --image-opts -c 'write -P 0x21 0 1M' "$(name luks2 base one)"
quiet img create -f qcow2 "${secrets[@]}" -u -b base -F qcow2 -o encrypt.format=aes,encrypt.key-secret=two "$IMAGE" 1M
chain=$(name aes "$IMAGE" two),backing.driver=qcow2,backing.file.filename=base,backing.encrypt.key-secret
quiet io "${secrets[@]}" --image-opts -c 'write -P 0x22 100k 10k' "$chain=one"
img commit "${secrets[@]}" --image-opts "$chain=two"
img commit "${secrets[@]}" --image-opts "$chain=one"
io "${secrets[@]}" --image-opts -c 'read -P 0x21 0 100k' -c 'read -P 0x22 100k 10k' -c 'read -P 0x21 110k 914k' "$(name luks2 base one)"

say "rebase: from an encrypted base to none"
quiet io "${secrets[@]}" --image-opts -c 'write -P 0x23 300k 1k' "$chain=one"
img rebase "${secrets[@]}" --image-opts -b '' "$chain=one"
io "${secrets[@]}" --image-opts -c 'read -P 0x21 0 100k' -c 'read -P 0x23 300k 1k' -c 'read -P 0x21 301k 723k' "$(name aes "$IMAGE" two)"

say "measure"
img measure "${secrets[@]}" -O qcow2 -o encrypt.format=luks,encrypt.key-secret=one --size 1G
img measure "${secrets[@]}" -O qcow2 -o encrypt.format=luks,encrypt.key-secret=one,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc --size 1G
img measure "${secrets[@]}" -O qcow2 -o encrypt.format=aes,encrypt.key-secret=one --size 1G
img measure "${secrets[@]}" -O luks -o key-secret=one --size 1G
img measure "${secrets[@]}" -O luks -o key-secret=one --image-opts "$(name luks2 from one)"
img measure "${secrets[@]}" -O raw --image-opts "$(name luks2 from one)"
img measure -O luks --size 1G
img measure -O luks -o key-secret=missing --size 1G
img measure -O qcow2 -o encrypt.format=luks --size 1G
