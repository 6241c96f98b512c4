#!/usr/bin/env bash
# title: what an open image can't be changed to
# breaks: reopen changes what is fixed, or says why in other words
# groups: io options errors
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
for option in backing.driver=raw backing.file.filename=x data-file=foo file.size=5 file.node-name=y file.driver=null-co \
    file.driver=file file.foo=x discard-no-unref=on offset=512 foo.bar=x; do
    on "$IMAGE" "reopen -o $option" 'write -q -P 1 0 64k' 'read -P 1 0 64k'
done
# The names of nodes that nobody named differ each time.
on "$IMAGE" 'reopen -o file.read-only=on' 'write 0 512' 2>&1 | sed 's/#block[0-9]*/#block/'
image_at "$IMAGE"
say "copy-on-read stays writable"
io -C -c 'reopen -r' -c 'write 0 512' "${at[@]}" 2>&1 | sed 's/#block[0-9]*/#block/'
say "shared use ends"
io -U -r -c 'read 0 512' -c 'reopen -w' -c 'write 0 512' "${at[@]}"
