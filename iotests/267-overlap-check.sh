#!/usr/bin/env bash
# title: what overlap checks look at
# breaks: a check that is switched off still refuses, or one that is on does not
# groups: rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# The first guest cluster lies on a piece of metadata: damaged CLUSTER
damaged() {
    quiet img create -f qcow2 "$IMAGE" 1M
    quiet io -f qcow2 -c 'write -q -P 5 0 128k' "$IMAGE"
    poke64 "$IMAGE" 262144 $(((1 << 63) | ($1 << 16)))
}
for cluster in 0 1 2 3 4; do
    for mode in none constant cached all; do
        say "cluster $cluster, $mode"
        damaged $cluster
        io -c "open -o driver=qcow2,overlap-check=$mode $IMAGE" -c 'write -P 0 60k 4k'
    done
done
say "one by one"
damaged 4
io -c "open -o driver=qcow2,overlap-check.active-l2=off $IMAGE" -c 'write -P 0 60k 4k'
damaged 3
io -c "open -o driver=qcow2,overlap-check=none,overlap-check.active-l1=on $IMAGE" -c 'write -P 0 60k 4k'
say "what can't be"
damaged 5
for options in overlap-check=foo overlap-check.template=foo overlap-check=none,overlap-check.template=all overlap-check.main-header=x overlap-check.foo=on; do
    io -c "open -o driver=qcow2,$options $IMAGE"
done
