#!/usr/bin/env bash
# title: lazy refcounts, and tools that are killed
# breaks: an image whose writer was killed is not repaired when it is opened next, or is trusted although it may not be
# groups: check rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

dirty() {
    printf 'incompatible features: '
    od -An -j 72 -N 8 -t x1 "$IMAGE" | tr -d ' '
}

# A process that is killed in the middle: what it said is not part of the test.
killed() {
    printf '\nqemu-io, killed after: %s\n' "$*"
    local command arguments=()
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    { "$QEMU_IO" "${cache[@]}" "${arguments[@]}" -c 'sigraise 9' "$IMAGE" >/dev/null; } >/dev/null 2>&1
    dirty
    img check -f qcow2 "$IMAGE"
}

fresh() {
    quiet img create -f qcow2 -o "lazy_refcounts=$1" "$IMAGE" 128M
}

cache=(-f qcow2 -t writethrough)
for lazy in on off; do
    say "lazy_refcounts=$lazy: each kind of first change"
    for change in 'write 0 64k' 'write -z 0 64k' 'write -c 0 64k' 'write -b 0 64k' 'discard 0 64k' 'truncate 200M' 'truncate 1G'; do
        fresh "$lazy"
        killed "$change"
    done
    say "lazy_refcounts=$lazy: behind a write"
    for change in 'write -z 0 64k' 'write -c 2M 64k' 'write -b 0 64k' 'discard 0 64k' 'truncate 200M' 'truncate 1G'; do
        fresh "$lazy"
        killed 'write 0 256k' "$change"
    done
done

say "with writeback and without a flush"
cache=(-f qcow2 -t writeback)
for lazy in on off; do
    fresh "$lazy"
    killed 'write 0 256k' 'write 20M 64k'
    fresh "$lazy"
    killed 'write 0 256k' 'flush' 'write 20M 64k'
done

say "repaired by whoever opens it for writing"
cache=(-f qcow2 -t writethrough)
fresh on
killed 'write -P 5 0 64k'
io_commands "$IMAGE" 'write -P 6 1M 64k' 'read -P 5 0 64k'
dirty
img check -f qcow2 "$IMAGE"

say "readers leave it as it is"
killed 'write -P 5 2M 64k'
io -r -f qcow2 -c 'read -P 5 2M 64k' "$IMAGE"
img info -f qcow2 "$IMAGE"
dirty

say "repaired by check"
img check -r all -f qcow2 "$IMAGE"
dirty

say "a snapshot of it"
killed 'write -P 6 0 1M' 'write -P 7 1M 64k'
img snapshot -c s "$IMAGE"
dirty
img check -f qcow2 "$IMAGE"

say "switched off"
killed 'write -P 6 5M 1M'
img amend -f qcow2 -o lazy_refcounts=off "$IMAGE"
dirty
img check -f qcow2 "$IMAGE"

say "resized"
fresh on
killed 'write -P 6 5M 1M'
img resize -f qcow2 "$IMAGE" 256M
dirty
img check -f qcow2 "$IMAGE"
