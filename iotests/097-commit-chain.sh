#!/usr/bin/env bash
# title: commit through a chain of three
# breaks: a commit loses data, writes to a layer that it should not touch, or keeps what it should drop
# groups: commit backing
# formats: qcow qcow2
# requires: nothing
# origin: ours, from the one-line description "commit through a three-layer chain, with and without drop"

. "$SUITE_COMMON"

# base has A everywhere, middle B in its second third, top C in a part of each.
chain() {
    rm -f base middle top
    quiet img create -f "$IMAGE_FORMAT" base 576k
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 0x41 0 576k' base
    quiet img create -f "$IMAGE_FORMAT" -b base -F "$IMAGE_FORMAT" middle
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 0x42 192k 192k' middle
    quiet img create -f "$IMAGE_FORMAT" -b middle -F "$IMAGE_FORMAT" top
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 0x43 64k 16k' -c 'write -P 0x43 256k 16k' -c 'write -P 0x43 448k 16k' top
}

look() {
    local file
    for file in base middle top; do
        echo "-- $file"
        layers "$file"
    done
    io_commands top 'read -P 0x41 0 64k' 'read -P 0x43 64k 16k' 'read -P 0x41 80k 112k' 'read -P 0x42 192k 64k' 'read -P 0x43 256k 16k' \
        'read -P 0x42 272k 112k' 'read -P 0x41 384k 64k' 'read -P 0x43 448k 16k' 'read -P 0x41 464k 112k'
}

say "as made"
chain
look

say "top into middle; top is emptied"
img commit -f "$IMAGE_FORMAT" top
look

say "top into middle; top is left as it is"
chain
img commit -d -f "$IMAGE_FORMAT" top
look

say "top into base; the base is named, and nothing in between is changed"
chain
img commit -b base -f "$IMAGE_FORMAT" top
echo "-- base"
layers base
echo "-- middle"
layers middle
io_commands base 'read -P 0x41 0 64k' 'read -P 0x43 64k 16k' 'read -P 0x42 192k 64k' 'read -P 0x43 256k 16k' \
    'read -P 0x42 272k 112k' 'read -P 0x43 448k 16k'

say "middle into base, below a top"
chain
img commit -d -f "$IMAGE_FORMAT" middle
look

say "progress, quiet, and the cache modes"
for option in -p -q '-t writeback' '-t unsafe'; do
    chain
    # shellcheck disable=SC2086
    img commit $option -f "$IMAGE_FORMAT" top
done

say "no way to commit"
chain
img commit -f "$IMAGE_FORMAT" base
img commit -b nonsense -f "$IMAGE_FORMAT" top
img commit -b top -f "$IMAGE_FORMAT" top
img commit -f "$IMAGE_FORMAT" missing
img commit
img commit -t nonsense -f "$IMAGE_FORMAT" top
img commit -f raw base
rm base
img commit -f "$IMAGE_FORMAT" top

say "a top that is longer or shorter than what it is committed to"
chain
quiet img create -f "$IMAGE_FORMAT" -b base -F "$IMAGE_FORMAT" long 768k
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x44 704k 32k' long
img commit -f "$IMAGE_FORMAT" long
img info -f "$IMAGE_FORMAT" base | grep 'virtual size'
io_commands base 'read -P 0x41 0 576k' 'read -P 0 576k 128k' 'read -P 0x44 704k 32k' 'read -P 0 736k 32k'
chain
quiet img create -f "$IMAGE_FORMAT" -b base -F "$IMAGE_FORMAT" short 192k
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x44 0 64k' short
img commit -f "$IMAGE_FORMAT" short
img info -f "$IMAGE_FORMAT" base | grep 'virtual size'
io_commands base 'read -P 0x44 0 64k' 'read -P 0x41 64k 512k'

say "into a raw base"
rm -f base
quiet img create -f raw base 256k
quiet io -f raw -c 'write -P 0x41 0 256k' base
quiet img create -f "$IMAGE_FORMAT" -b base -F raw over
quiet io -f "$IMAGE_FORMAT" -c 'write -P 0x45 50k 50k' over
img commit -f "$IMAGE_FORMAT" over
io -f raw -c 'read -P 0x41 0 50k' -c 'read -P 0x45 50k 50k' -c 'read -P 0x41 100k 156k' base
