#!/usr/bin/env bash
# title: map of chains with everything in them
# breaks: a backup tool that trusts map copies the wrong ranges
# groups: map backing
# formats: qcow qcow2 raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

if [ "$IMAGE_FORMAT" = raw ]; then
    top=qcow2
else
    top=$IMAGE_FORMAT
fi
make base 400k
on base 'write -P 1 0 100k' 'write -P 2 200k 200k'
quiet img create -f $top -b base -F "$IMAGE_FORMAT" mid 600k
quiet io -f $top -c 'write -P 3 64k 64k' -c 'write -z 256k 64k' mid
quiet img create -f $top -b mid -F $top top 500k
quiet io -f $top -c 'write -c -P 4 128k 64k' -c 'write -P 5 384k 10k' top
for output in human json; do
    for image in base mid top; do
        say "$image, $output"
        [ $image = base ] && format=$IMAGE_FORMAT || format=$top
        img map --output=$output -f "$format" $image
        img map --output=$output -f "$format" --start-offset=100k $image
        img map --output=$output -f "$format" --max-length=100k $image
        img map --output=$output -f "$format" -s 90k -l 200k $image
        img map --output=$output -f "$format" -s 399k -l 1M $image
        img map --output=$output -f "$format" -s 1M $image
    done
done

say "wrong ways"
img map
img map top top
img map --output=yaml top
img map -f raw missing
img map -s nonsense top
img map -s -1 top
img map -l -1 top
img map -l 0 top
img map --start-offset=8E top
img map -f $top --image-opts driver=$top,file.filename=top
img map --image-opts driver=$top,file.filename=top,backing=
img map --image-opts driver=$top,file.filename=top,backing.driver=raw,backing.file.filename=base
img map -U -f $top top
