#!/usr/bin/env bash
# title: the line of the progress ends after what went wrong
# breaks: a script that records both streams in one file sees them in another order
# groups: errors
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# Both streams in one, as scripts record them.
both() {
    _show qemu-img "$@"
    "$QEMU_IMG" "$@" 2>&1 | tr '\r' '\n'
}

make "$IMAGE" 1M
quiet img create -f raw other.raw 1M
for name in "$IMAGE" missing; do
    both amend -p -o size=2M "$name"
    both amend -p -o size=foo "$name"
    both amend -p -o help "$name"
    both commit -p "$name"
    both commit -p -b missing "$name"
    both rebase -p -b missing -F raw "$name"
    both rebase -p -F foo -b other.raw "$name"
    both convert -p -O raw "$name" missing/out
    both convert -p -o foo=bar -O qcow2 "$name" out
    both convert -p -n -O raw "$name" missing.raw
    both compare -p "$name" other.raw
    both compare -p other.raw "$name"
done
both amend -p -o help
both amend -p -f qcow2 -o help
both amend -p -f foo -o help
both amend -p -f foo -o size=2M "$IMAGE"
both amend -p -f raw -o size=2M "$IMAGE"
both amend -p --image-opts -f qcow2 -o size=2M "$IMAGE"
both amend -p -t foo -o size=2M "$IMAGE"
both amend -p -q -o foo=bar "$IMAGE"
both amend -p "$IMAGE"
both amend -p -o size=2M "$IMAGE" "$IMAGE"
