#!/usr/bin/env bash
# title: backing chains
# breaks: data comes from the wrong layer of a chain, or a chain that can't be is opened
# groups: backing rw
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "every format as a base"
for base in raw qcow qcow2; do
    quiet img create -f "$base" "base.$base" 512k
    quiet io -t unsafe -f "$base" -c 'write -P 1 0 512k' "base.$base"
    img create -f "$IMAGE_FORMAT" -b "base.$base" -F "$base" "$IMAGE"
    io_commands "$IMAGE" 'read -P 1 0 512k' 'write -P 2 1000 1000' 'write -P 3 100k 100k' 'read -P 1 0 1000' 'read -P 2 1000 1000' 'read -P 1 2000 100400' \
        'read -P 3 100k 100k' 'read -P 1 200k 312k'
    quiet io -f "$base" -c 'read -P 1 0 512k' "base.$base"
done

say "a chain of eight"
quiet img create -f "$IMAGE_FORMAT" layer0 512k
for ((layer = 1; layer < 8; layer++)); do
    quiet img create -f "$IMAGE_FORMAT" -b layer$((layer - 1)) -F "$IMAGE_FORMAT" "layer$layer"
    quiet io -t unsafe -f "$IMAGE_FORMAT" -c "write -P $layer $((layer * 64))k 1k" "layer$layer"
done
commands=()
for ((layer = 1; layer < 8; layer++)); do
    commands+=("read -P $layer $((layer * 64))k 1k" "read -P 0 $((layer * 64 + 1))k 63k")
done
io_commands layer7 "${commands[@]}"
layers layer7
img info --backing-chain layer7 | grep -E '^(image|backing file:)'

say "a base that is shorter, and one that is longer"
quiet img create -f raw short.raw 100000
quiet io -f raw -c 'write -P 1 0 99840' short.raw
img create -f "$IMAGE_FORMAT" -b short.raw -F raw "$IMAGE" 512k
io_commands "$IMAGE" 'read -P 1 0 99840' 'read -P 0 100352 300000' 'write -P 2 99k 1k' 'read -P 1 0 99k' 'read -P 2 99k 1k' 'read -P 0 100k 100k'
img create -f "$IMAGE_FORMAT" -b base.raw -F raw "$IMAGE" 64k
io_commands "$IMAGE" length 'read -P 1 0 64k' 'read 64k 512'

say "a base named in the tree"
img create -f "$IMAGE_FORMAT" "$IMAGE" 512k
io --image-opts -c 'read -P 1 0 512k' "driver=$IMAGE_FORMAT,file.filename=$IMAGE,backing.driver=raw,backing.file.filename=base.raw"
io --image-opts -c 'read -P 1 0 512k' "driver=$IMAGE_FORMAT,file.filename=$IMAGE,backing.driver=raw,backing.file.filename=missing"
io --image-opts -c 'read -P 1 0 512k' "driver=$IMAGE_FORMAT,file.filename=$IMAGE,backing.file.filename=base.qcow2"
quiet img create -f "$IMAGE_FORMAT" -b base.raw -F raw "$IMAGE"
io --image-opts -c 'read -P 0 0 512k' "driver=$IMAGE_FORMAT,file.filename=$IMAGE,backing=nonsense"
io -c 'read -P 0 0 512k' "json:{\"driver\": \"$IMAGE_FORMAT\", \"file.filename\": \"$IMAGE\", \"backing\": null}"

say "a base that is a directory, empty, of another format, or of a format that is none"
mkdir directory
: >empty
quiet img create -u -f "$IMAGE_FORMAT" -b directory -F raw "$IMAGE" 64k
io_commands "$IMAGE" 'read 0 512'
quiet img create -u -f "$IMAGE_FORMAT" -b empty -F raw "$IMAGE" 64k
io_commands "$IMAGE" 'read -P 0 0 64k'
quiet img create -u -f "$IMAGE_FORMAT" -b base.raw -F qcow2 "$IMAGE" 64k
io_commands "$IMAGE" 'read 0 512'
rm "$IMAGE"
img create -u -f "$IMAGE_FORMAT" -b base.raw -F nonsense "$IMAGE" 64k
