#!/usr/bin/env bash
# title: qemu-io: open, close, options, commands from a pipe
# breaks: qemu-io opens another file or in another mode than asked, or loses commands
# groups: io options
# formats: raw qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
quiet io -f "$IMAGE_FORMAT" -c 'write -P 1 0 64k' "$IMAGE"
cp "$IMAGE" other

say "nothing is open"
io -c 'read 0 512' -c length -c close -c quit -c 'read 0 512'
say "open and close"
io -c "open -o driver=$IMAGE_FORMAT $IMAGE" -c 'read -P 1 0 64k' -c close -c 'read 0 512' -c "open -o driver=$IMAGE_FORMAT other" -c 'write -P 2 0 512' -c length
io -f "$IMAGE_FORMAT" -c "open other" "$IMAGE"
io -c 'open missing'
io -c 'open'
io -c "open -r -o driver=$IMAGE_FORMAT other" -c 'read -P 2 0 512' -c 'write 0 512'
io -c "open -o driver=nonsense other"
io -c "open -o nonsense=1 other"
say "read-only, snapshot mode, cache modes"
io -r -f "$IMAGE_FORMAT" -c 'read -P 1 0 64k' -c 'write 0 512' "$IMAGE"
io -s -f "$IMAGE_FORMAT" -c 'write -P 9 0 512' -c 'read -P 9 0 512' "$IMAGE"
io -f "$IMAGE_FORMAT" -c 'read -P 1 0 64k' "$IMAGE"
for mode in writeback writethrough unsafe nonsense; do
    io -t "$mode" -f "$IMAGE_FORMAT" -c 'read -P 1 0 64k' "$IMAGE"
done
io -d nonsense -f "$IMAGE_FORMAT" -c length "$IMAGE"
io -d ignore -f "$IMAGE_FORMAT" -c 'write -P 3 128k 64k' -c 'discard 128k 64k' -c 'read -P 3 128k 64k' "$IMAGE"
say "commands from a pipe"
printf 'read -P 1 0 64k\nlength\n\nnonsense\nquit\nlength\n' | io -f "$IMAGE_FORMAT" "$IMAGE" | sed 's/qemu-io> //g'
printf 'length' | io -f "$IMAGE_FORMAT" "$IMAGE" | sed 's/qemu-io> //g'
say "the tree of options"
io --image-opts -c length "driver=$IMAGE_FORMAT,file.driver=file,file.filename=$IMAGE"
io --image-opts -c length "driver=$IMAGE_FORMAT,file.filename=$IMAGE,read-only=on" -c 'write 0 512'
io -c length "json:{\"driver\": \"$IMAGE_FORMAT\", \"file\": {\"driver\": \"file\", \"filename\": \"$IMAGE\"}}"
io --image-opts -c length "driver=$IMAGE_FORMAT,file.filename=$IMAGE,nonsense=1"
io --image-opts -c length "driver=$IMAGE_FORMAT,file.filename=$IMAGE,file.nonsense=1"
io --image-opts -c length "driver=$IMAGE_FORMAT"
io --image-opts -c length "driver=nonsense,file.filename=$IMAGE"
io --image-opts -f "$IMAGE_FORMAT" -c length "driver=$IMAGE_FORMAT,file.filename=$IMAGE"
io --image-opts -c length "file.filename=$IMAGE,driver"
say "grow and shrink"
io_commands "$IMAGE" 'truncate 2M' length 'read -P 0 1M 1M' 'truncate 512k' length 'truncate -m full 1M' length 'truncate -m nonsense 1M' 'truncate nonsense' 'truncate -1'
say "wrong ways to call it"
io --nonsense
io -c length "$IMAGE" other
io -f nonsense -c length "$IMAGE"
io -c 'quit' -c 'length'
io -U -f "$IMAGE_FORMAT" -c length "$IMAGE"
io -U -r -f "$IMAGE_FORMAT" -c length "$IMAGE"
