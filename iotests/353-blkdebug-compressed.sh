#!/usr/bin/env bash
# title: errors at the events of qcow's tables and compressed clusters, and while a header is read
# breaks: an error that was asked for does not happen, or is told in other words
# groups: blkdebug errors
# formats: qcow luks raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
case $IMAGE_FORMAT in
    luks) options='--object secret,id=s,data=geheim' driver=luks,key-secret=s ;;
    *) options='' driver=$IMAGE_FORMAT ;;
esac
with() {
    local rule=file.inject-error.0.
    # shellcheck disable=SC2086 # The options are several words.
    io $options "${@:2}" --image-opts "driver=$driver,file.driver=blkdebug,file.image.filename=$IMAGE,$rule${1//,/,$rule}"
}

for event in flush_to_os flush_to_disk l1_update l2_load l2_update write_aio; do
    say "$event"
    make "$IMAGE" 1M
    with "event=$event,once=on,errno=28" -c 'write -P 2 0 64k' -c flush -c 'write -z 128k 4k' -c 'write -z 132k 4k'
done
if [ "$IMAGE_FORMAT" = qcow ]; then
    for event in write_compressed l2_update_compressed read_compressed; do
        say "$event"
        make "$IMAGE" 1M
        with "event=$event,once=on,errno=28" -c 'write -c 64k 4k'
        make "$IMAGE" 1M
        quiet io -f qcow -c 'write -q -c -P 5 64k 4k' "$IMAGE"
        with "event=$event,once=on,errno=28" -c 'read 64k 4k' -c 'read -P 5 64k 4k'
    done
fi
say "while it is opened"
make "$IMAGE" 1M
with event=none,errno=5 -c 'read 0 512'
with event=none,iotype=read,errno=28,once=on,sector=0 -c 'read 0 512'
with event=none,state=1,immediately=on -c 'read 0 512'
