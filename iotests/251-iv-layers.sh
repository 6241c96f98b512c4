#!/usr/bin/env bash
# title: IVs of what is copied between layers
# breaks: what copy-on-write, commit, rebase or convert copy is stored in clear, or under the number of its old place
# groups: iv encrypt backing commit rebase convert
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

keys=(--object secret,id=low,data=platypus --object secret,id=high,data=astrochicken)
base=driver=qcow2,file.filename=base.qcow2,encrypt.key-secret=low
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=high

judged() {
    judge "${keys[@]}" --key-secret "$1" "$2"
}

layers_of() {
    say "$1 on $2"
    quiet img create -f qcow2 "${keys[@]}" -o "$2,encrypt.key-secret=low" base.qcow2 1M
    quiet io "${keys[@]}" --image-opts -c 'write -P 0x11 0 320k' -c 'write -P 0x12 512k 100k' "$base"
    quiet img create -f qcow2 "${keys[@]}" -u -b base.qcow2 -F qcow2 -o "$1,encrypt.key-secret=high" "$IMAGE" 1M
    local chain=$image,backing.driver=qcow2,backing.file.filename=base.qcow2,backing.encrypt.key-secret=low
    quiet io "${keys[@]}" --image-opts -c 'write -P 0x21 100k 8k' -c 'write -P 0x22 192k 2k' -c 'write -P 0x23 570k 70k' \
        -c 'write -P 0x24 900k 300' "$chain"
    judged high "$IMAGE"

    say "$1 on $2: converted, one key to another"
    quiet img create -f qcow2 "${keys[@]}" -o "$1,encrypt.key-secret=high" copy.qcow2 1M
    quiet img convert -n "${keys[@]}" --image-opts --target-image-opts "$chain" \
        driver=qcow2,file.filename=copy.qcow2,encrypt.key-secret=high
    judged high copy.qcow2

    say "$1 on $2: committed"
    quiet img commit "${keys[@]}" --image-opts "$chain"
    judged low base.qcow2
}

aes=encrypt.format=aes
luks=encrypt.format=luks,encrypt.iter-time=10
layers_of "$luks" "$luks"
layers_of "$luks" "$aes"
layers_of "$aes" "$luks"

say "a large cluster's surroundings go out in pieces"
quiet img create -f raw base.raw 1M
quiet io -f raw -c 'write -P 0x41 0 200k' base.raw
quiet img create -f qcow2 "${keys[@]}" -u -b base.raw -F raw -o "$luks,encrypt.key-secret=high,cluster_size=512k" "$IMAGE" 1M
quiet io "${keys[@]}" --image-opts -c 'write -P 0x31 150k 4k' "$image"
judged high "$IMAGE"

say "rebased onto nothing: what the base had is taken in"
quiet img rebase "${keys[@]}" --image-opts -b '' "$image"
judged high "$IMAGE"
