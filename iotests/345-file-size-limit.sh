#!/usr/bin/env bash
# title: a file that may not grow any further (ulimit -f)
# breaks: the signal that comes with EFBIG ends the tool in the middle of a write
# groups: rw create resize errors
# formats: raw qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 8M
# In units of 1 KiB; only what stands in the parentheses has the limit.
(
    ulimit -f 1024
    say "a write that does not fit, then one that does"
    io_commands "$IMAGE" 'write -P 1 0 4M' 'write -P 2 512k 64k' 'read -P 2 512k 64k'
    say "resize"
    img resize -f "$IMAGE_FORMAT" --preallocation=full "$IMAGE" 16M
    say "create"
    img create -f "$IMAGE_FORMAT" -o preallocation=full other 8M
)
say "without the limit"
if [ "$IMAGE_FORMAT" = qcow2 ]; then
    img check -f qcow2 "$IMAGE"
fi
io_commands "$IMAGE" 'write -P 3 0 4M' 'read -P 3 0 4M'

say "signals that come from elsewhere"
for signal in 10 14 29; do
    io_commands "$IMAGE" "sigraise $signal" 'length'
done
