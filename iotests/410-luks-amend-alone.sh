#!/usr/bin/env bash
# title: key slots of a volume that is in use
# breaks: key slots change while another process has the volume open
# groups: encrypt locks amend
# formats: luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

secrets=(--object secret,id=one,data=first --object secret,id=two,data=second)
image=driver=luks,file.filename=$IMAGE,key-secret=one
quiet img create -f luks "${secrets[@]}" -o key-secret=one,iter-time=10,cipher-alg=aes-128 "$IMAGE" 1M

tries() {
    for options in nonsense=1 keyslot=1 state=active state=active,new-secret=two,iter-time=10 state=inactive,keyslot=9; do
        img amend "${secrets[@]}" -o "$options" --image-opts "$image"
    done
    img info -f luks "$IMAGE" | grep -c 'active: true'
}

say "another one writes"
hold "${secrets[@]}" --image-opts "$image"
tries
let_go
say "another one reads"
hold -r "${secrets[@]}" --image-opts "$image"
tries
let_go
say "nobody has it"
tries

say "a secret that is an object of another kind"
img amend "${secrets[@]}" --object throttle-group,id=group -o state=active,new-secret=group --image-opts "$image"
io --object throttle-group,id=one --image-opts -c 'read 0 512' "$image"
io --object throttle-group,id=one --object secret,id=one,data=first --image-opts -c 'read 0 512' "$image"
io --object secret,id=one,data=first --object throttle-group,id=one --image-opts -c 'read 0 512' "$image"
