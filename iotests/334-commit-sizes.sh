#!/usr/bin/env bash
# title: commit into images of other sizes
# breaks: a commit cuts the disk, or leaves old data
# groups: commit backing resize
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for base_format in raw "$IMAGE_FORMAT"; do
    for sizes in '256k 512k' '512k 256k' '130k 260k' '0 512k' '512k 512k'; do
        read -r lower upper <<<"$sizes"
        [ "$IMAGE_FORMAT" = qcow ] && [ "$lower" = 0 ] && continue
        for flags in '' -d '-t none' '-t unsafe' '-p' '-q'; do
            rm -f base top
            quiet img create -f "$base_format" base "$lower"
            quiet img create -f "$IMAGE_FORMAT" -b base -F "$base_format" top "$upper"
            [ "$lower" != 0 ] && quiet io -f "$base_format" -c "write -P 1 0 $lower" base
            quiet io -f "$IMAGE_FORMAT" -c 'write -P 2 64k 64k' top
            quiet io -f "$IMAGE_FORMAT" -c "write -z 0 4k" top
            quiet img convert -f "$IMAGE_FORMAT" -O raw top before
            # shellcheck disable=SC2086
            img commit $flags -f "$IMAGE_FORMAT" top
            img compare -f raw -F "$base_format" before base
            [ "$flags" = -d ] || img compare -f raw -F "$IMAGE_FORMAT" before top
            layers top
            length_of top
        done
    done
done
