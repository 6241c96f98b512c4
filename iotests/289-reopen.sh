#!/usr/bin/env bash
# title: what reopen and open change, and what they refuse
# breaks: an open image gets options that it can't have, or loses those it had; -r does not hold
# groups: io options
# formats: qcow2 raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M

say "read-only and back"
io_commands "$IMAGE" 'reopen -r' 'write 0 512' 'reopen -w' 'write 0 512' 'reopen -r -w' 'reopen -r -o read-only=off' 'reopen -o read-only=off' 'write 0 512'
io -r -f "$IMAGE_FORMAT" -c 'reopen -o read-only=on' -c 'reopen -o read-only=off' -c 'write 0 512' -c 'reopen -r' -c 'write 0 512' -c 'reopen -w' -c 'write 0 512' "$IMAGE"
say "cache modes"
io_commands "$IMAGE" 'reopen -c nonsense' 'reopen -c writethrough' 'write 0 512' 'reopen -c unsafe -o cache.no-flush=on' 'reopen -c writeback -o cache.direct=off' 'reopen -o cache.no-flush=on' 'write 0 512'
say "what stays as it is"
for option in nonsense=1 driver=qcow driver="$IMAGE_FORMAT" node-name=x force-share=on file.filename=x "file.filename=$IMAGE" file.locking=off backing=x file=x; do
    io_commands "$IMAGE" "reopen -o $option" length
done
io -f raw -c 'close' -c "open -o driver=file,filename=$IMAGE" -c 'reopen -o filename=x' -c 'reopen -o locking=off' -c 'reopen -o aio=native' -c 'reopen -r' -c 'write 0 1' "$IMAGE"
say "names are options"
io --image-opts -c "open driver=$IMAGE_FORMAT,file.filename=$IMAGE" -c length
io --image-opts -c "open $IMAGE" -c length
io --image-opts -c "open -o driver=$IMAGE_FORMAT $IMAGE" -c length
say "tracing"
io --trace file=none/log -f "$IMAGE_FORMAT" -c length "$IMAGE"
io --trace events=none -f "$IMAGE_FORMAT" -c length "$IMAGE"
io --trace nonsense=1 -f "$IMAGE_FORMAT" -c length "$IMAGE"
io --trace file=log,enable=nonsense -f "$IMAGE_FORMAT" -c length "$IMAGE"
ls log
