#!/usr/bin/env bash
# title: convert and its options
# breaks: convert makes an image with other bytes, another size or another base than asked for
# groups: convert
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 1 0 100k' -c 'write -P 2 300k 1k' -c 'write -P 0 400k 100k' -c 'write -P 3 1023k 1k' "$IMAGE"

convert() {
    rm -f out
    img convert "$@"
}

say "to every format and back"
for format in raw qcow qcow2; do
    convert -f "$IMAGE_FORMAT" -O "$format" "$IMAGE" out
    img compare -f "$IMAGE_FORMAT" -F "$format" "$IMAGE" out
    quiet img convert -f "$format" -O "$IMAGE_FORMAT" out back
    img compare -f "$IMAGE_FORMAT" -F "$IMAGE_FORMAT" "$IMAGE" back
done

say "how long a run of zeros must be to be left out"
for size in 0 4k 64k 1M; do
    convert -S "$size" -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out
    img map --output=json -f qcow2 out | sed 's/, "offset": [0-9]*//'
done
convert -S 1 -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out
convert -S nonsense -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out
convert -S 1000 -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out

say "into an image that is there"
quiet img create -f qcow2 there 1M
quiet io -f qcow2 -c 'write -P 9 0 1M' there
img convert -n -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" there
img compare -f "$IMAGE_FORMAT" -F qcow2 "$IMAGE" there
quiet img create -f qcow2 small 512k
img convert -n -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" small
quiet img create -f qcow2 large 2M
quiet io -f qcow2 -c 'write -P 9 0 2M' large
img convert -n -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" large
io -f qcow2 -c 'read -P 1 0 100k' -c 'read -P 9 1M 1M' large
img convert -n -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" missing
img convert -n -o cluster_size=4k -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" there
img convert -n --target-image-opts -f "$IMAGE_FORMAT" "$IMAGE" driver=qcow2,file.filename=there
img convert --target-image-opts -f "$IMAGE_FORMAT" "$IMAGE" driver=qcow2,file.filename=there
img convert -n --target-is-zero -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" there
img convert --target-is-zero -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" there

say "many at a time, in any order, with progress"
for options in '-m 1' '-m 16' '-W' '-m 8 -W' '-p' '-q' '-t none -T none' '-t unsafe' '--salvage' '-r 1G'; do
    # shellcheck disable=SC2086
    convert $options -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out
    [ -e out ] && img compare -f "$IMAGE_FORMAT" -F qcow2 "$IMAGE" out
done
for options in '-m 0' '-m 17' '-m nonsense' '-W -c' '-t nonsense' '-T nonsense' '-r nonsense'; do
    # shellcheck disable=SC2086
    convert $options -f "$IMAGE_FORMAT" -O qcow2 "$IMAGE" out
done

say "several into one"
quiet img create -f "$IMAGE_FORMAT" second 512k
quiet io -t unsafe -f "$IMAGE_FORMAT" -c 'write -P 5 0 512k' second
convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" second out
img info -f raw out | grep 'virtual size'
io -f raw -c 'read -P 1 0 100k' -c 'read -P 3 1023k 1k' -c 'read -P 5 1M 512k' out

say "over a base"
quiet img create -f raw base.raw 1M
quiet io -f raw -c 'write -P 1 0 100k' base.raw
convert -f "$IMAGE_FORMAT" -O qcow2 -B base.raw -F raw "$IMAGE" out
img map --output=json out | sed 's/, "offset": [0-9]*//'
img compare -f "$IMAGE_FORMAT" -F qcow2 "$IMAGE" out
convert -f "$IMAGE_FORMAT" -O qcow2 -o backing_file=base.raw,backing_fmt=raw "$IMAGE" out
img info out | grep backing
convert -f "$IMAGE_FORMAT" -O qcow2 -B base.raw "$IMAGE" out
convert -f "$IMAGE_FORMAT" -O raw -B base.raw -F raw "$IMAGE" out
convert -f "$IMAGE_FORMAT" -O qcow2 -B missing -F raw "$IMAGE" out
convert -c -f "$IMAGE_FORMAT" -O qcow2 -B base.raw -F raw "$IMAGE" out
img compare -f "$IMAGE_FORMAT" -F qcow2 "$IMAGE" out

say "sources by the tree"
convert --image-opts -O raw "driver=$IMAGE_FORMAT,file.filename=$IMAGE" out
img compare -f "$IMAGE_FORMAT" -F raw "$IMAGE" out
convert -O raw "json:{\"driver\": \"$IMAGE_FORMAT\", \"file.filename\": \"$IMAGE\"}" out
convert --image-opts -f "$IMAGE_FORMAT" -O raw "driver=$IMAGE_FORMAT,file.filename=$IMAGE" out

say "wrong ways to ask"
convert -f "$IMAGE_FORMAT" -O raw "$IMAGE"
convert -O raw
convert -f "$IMAGE_FORMAT" -O nonsense "$IMAGE" out
convert -f nonsense -O raw "$IMAGE" out
convert -f "$IMAGE_FORMAT" -O raw missing out
convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" missing/out
convert -f "$IMAGE_FORMAT" -O raw "$IMAGE" "$IMAGE"
convert --nonsense
