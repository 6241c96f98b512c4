#!/usr/bin/env bash
# title: rebase
# breaks: an image reads other bytes after its base was changed
# groups: rebase backing
# formats: qcow2 qcow
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

bases() {
    rm -f old new
    quiet img create -f "$IMAGE_FORMAT" old 512k
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 1 0 256k' -c 'write -P 2 320k 64k' old
    quiet img create -f "$IMAGE_FORMAT" new 512k
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 1 0 64k' -c 'write -P 3 64k 64k' -c 'write -P 3 448k 64k' new
    quiet img create -f "$IMAGE_FORMAT" -b old -F "$IMAGE_FORMAT" "$IMAGE"
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 4 32k 16k' -c 'write -P 4 192k 32k' "$IMAGE"
}

look() {
    img info -U -f "$IMAGE_FORMAT" "$IMAGE" | grep backing
    layers "$IMAGE"
    io_commands "$IMAGE" 'read -P 1 0 32k' 'read -P 4 32k 16k' 'read -P 1 48k 144k' 'read -P 4 192k 32k' 'read -P 1 224k 32k' \
        'read -P 0 256k 64k' 'read -P 2 320k 64k' 'read -P 0 384k 128k'
}

say "before"
bases
look

say "to another base: what differs is copied"
img rebase -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
look

say "to none"
bases
img rebase -f "$IMAGE_FORMAT" -b '' "$IMAGE"
look

say "only the name"
bases
img rebase -u -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
look
img rebase -u -f "$IMAGE_FORMAT" -b missing -F "$IMAGE_FORMAT" "$IMAGE"
img info -f "$IMAGE_FORMAT" "$IMAGE" | grep backing
img rebase -u -f "$IMAGE_FORMAT" -b '' "$IMAGE"
img info -f "$IMAGE_FORMAT" "$IMAGE" | grep backing

say "down a chain, to what lies below the base"
bases
quiet img create -f "$IMAGE_FORMAT" -b "$IMAGE" -F "$IMAGE_FORMAT" top
quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 5 0 4k' top
img rebase -f "$IMAGE_FORMAT" -b old -F "$IMAGE_FORMAT" top
layers top
io_commands top 'read -P 5 0 4k' 'read -P 4 32k 16k' 'read -P 2 320k 64k'

say "quiet, with progress, cache modes, another old name"
bases
img rebase -q -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
bases
img rebase -p -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
bases
img rebase -t unsafe -T writeback -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
bases
img rebase -f "$IMAGE_FORMAT" -b new "$IMAGE"

say "what can't be"
bases
img rebase -f "$IMAGE_FORMAT" -b missing -F "$IMAGE_FORMAT" "$IMAGE"
img rebase -f "$IMAGE_FORMAT" -b new -F nonsense "$IMAGE"
img rebase -f "$IMAGE_FORMAT" "$IMAGE"
img rebase -f "$IMAGE_FORMAT" -b new
img rebase -t nonsense -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
img rebase -f "$IMAGE_FORMAT" -b "$IMAGE" -F "$IMAGE_FORMAT" "$IMAGE"
img rebase -u -f "$IMAGE_FORMAT" -b "$(printf 'n%.0s' {1..1100})" -F "$IMAGE_FORMAT" "$IMAGE" | sed 's/n\{50,\}/NNN/g'
rm old
img rebase -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
look
quiet img create -f raw plain.raw 64k
img rebase -f raw -b new -F "$IMAGE_FORMAT" plain.raw

say "bases of other lengths"
bases
quiet img resize -q --shrink -f "$IMAGE_FORMAT" new 128k
img rebase -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
look
bases
if [ "$IMAGE_FORMAT" = qcow2 ]; then
    quiet img resize -f "$IMAGE_FORMAT" "$IMAGE" 768k
    quiet img resize -f "$IMAGE_FORMAT" new 768k
    quiet io -f "$IMAGE_FORMAT" -c 'write -P 6 512k 256k' new
    img rebase -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" "$IMAGE"
    look
    io_commands "$IMAGE" 'read -P 0 512k 256k'
    img check -f qcow2 "$IMAGE"
fi
