#!/usr/bin/env bash
# title: info as JSON, and of chains
# breaks: a program that reads info --output=json gets another tree than it knows
# groups: info backing
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

say "one image"
quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M
img info -f "$IMAGE_FORMAT" "$IMAGE"
img info -f "$IMAGE_FORMAT" --output=json "$IMAGE"
img info --output=json --image-opts "driver=$IMAGE_FORMAT,file.filename=$IMAGE"
img info "json:{\"driver\": \"$IMAGE_FORMAT\", \"file\": {\"driver\": \"file\", \"filename\": \"$IMAGE\"}}"

if [ "$IMAGE_FORMAT" != raw ]; then
    say "a chain of three"
    quiet img create -f raw base.raw 1M
    quiet img create -f "$IMAGE_FORMAT" -b base.raw -F raw middle
    quiet img create -f "$IMAGE_FORMAT" -b middle -F "$IMAGE_FORMAT" "$IMAGE" 2M
    img info --backing-chain "$IMAGE"
    img info --backing-chain --output=json "$IMAGE"
    img info -f "$IMAGE_FORMAT" "$IMAGE"
    say "a base that is not there, a base that is elsewhere"
    mkdir elsewhere
    mv base.raw elsewhere
    img info "$IMAGE"
    img info --backing-chain "$IMAGE"
    quiet img create -u -f "$IMAGE_FORMAT" -b "elsewhere/base.raw" -F raw "$IMAGE" 1M
    img info "$IMAGE" | grep backing
    quiet img create -u -f "$IMAGE_FORMAT" -b "$TEST_DIR/elsewhere/base.raw" -F raw "$IMAGE" 1M
    img info "$IMAGE" | grep backing
    cp "$IMAGE" elsewhere
    quiet img create -u -f "$IMAGE_FORMAT" -b base.raw -F raw "elsewhere/$IMAGE" 1M
    img info "elsewhere/$IMAGE"
    img info --backing-chain --output=json "elsewhere/$IMAGE" | grep -E 'filename|backing'
    say "loops"
    quiet img create -u -f "$IMAGE_FORMAT" -b other -F "$IMAGE_FORMAT" "$IMAGE" 1M
    quiet img create -u -f "$IMAGE_FORMAT" -b "$IMAGE" -F "$IMAGE_FORMAT" other 1M
    img info "$IMAGE"
    img info --backing-chain "$IMAGE"
fi

if [ "$IMAGE_FORMAT" = qcow2 ]; then
    say "every option that shows"
    for options in compat=0.10 lazy_refcounts=on refcount_bits=1 cluster_size=4k compression_type=zstd; do
        quiet img create -f qcow2 -o "$options" "$IMAGE" 1M
        img info "$IMAGE"
        img info --output=json "$IMAGE"
    done
    say "snapshots"
    quiet img snapshot -c 'one "quoted"' "$IMAGE"
    quiet img snapshot -c two "$IMAGE"
    img info "$IMAGE"
    img info --output=json "$IMAGE"
fi

say "names that need care"
for name in 'with blank' 'with"quote' 'with\backslash' $'with\ttab' 'wïth-utf8'; do
    quiet img create -f "$IMAGE_FORMAT" "$name" 64k
    img info -f "$IMAGE_FORMAT" --output=json "$name" | grep '"filename"'
    img info -f "$IMAGE_FORMAT" "$name" | grep -E '^image|filename'
done
img info 'with:colon'
img info './with:colon'

say "wrong ways to ask"
img info missing
img info
img info -f nonsense "$IMAGE"
img info --output=yaml "$IMAGE"
img info "$IMAGE" "$IMAGE"
img info --nonsense "$IMAGE"
mkdir directory
img info directory
: >empty
img info empty
img info -f qcow2 empty
img info 'json:{'
img info 'json:{"driver": "qcow2"}'
img info 'json:[]'
