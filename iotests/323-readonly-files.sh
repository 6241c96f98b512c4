#!/usr/bin/env bash
# title: files that can't be written
# breaks: an error is silent, or its words don't name the file
# groups: errors
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
image_at "$IMAGE"
for command in 'write 0 512' 'write -z 0 512' 'discard 0 64k' 'truncate 2M' 'write -c 0 64k' 'flush' 'aio_write 0 512' 'writev 0 512' 'read 0 512' 'reopen -w' 'reopen -r'; do
    io -r -c "$command" "${at[@]}"
done
for name in missing /nonexistent/x . '' /dev/null; do
    say "'$name'"
    img info -f "$IMAGE_FORMAT" "$name"
    img info "$name"
    img check -f "$IMAGE_FORMAT" "$name"
    img map -f "$IMAGE_FORMAT" "$name"
    [ "$name" = /dev/null ] || img resize -f "$IMAGE_FORMAT" "$name" 1M
    img snapshot -l -f "$IMAGE_FORMAT" "$name" 2>&1
    img convert -f "$IMAGE_FORMAT" -O raw "$name" out
    img compare -f "$IMAGE_FORMAT" "$name" out
    img rebase -f "$IMAGE_FORMAT" -b x "$name"
    [ "$name" = . ] || img commit -f "$IMAGE_FORMAT" "$name"
    img amend -f "$IMAGE_FORMAT" -o size=1M "$name"
    img measure -f "$IMAGE_FORMAT" "$name"
    img bench -f "$IMAGE_FORMAT" -c 1 "$name"
    img dd -f "$IMAGE_FORMAT" if="$name" of=out
    io -f "$IMAGE_FORMAT" -c 'read 0 512' "$name"
done
rm -f out
img convert "${at[@]}" -O raw ''
img convert "${at[@]}" -O raw .
[ "$IMAGE_FORMAT" = luks ] || img create -f "$IMAGE_FORMAT" . 1M
[ "$IMAGE_FORMAT" = luks ] || img create -f "$IMAGE_FORMAT" /nonexistent/x 1M
