#!/usr/bin/env bash
# title: writes go into a log
# breaks: the log of writes can't be replayed by dm-log-writes' tools
# groups: filters io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
above="driver=blklogwrites,file.driver=qcow2,file.file.filename=$IMAGE,log.filename=log"

# logged MODE OPTIONS COMMAND…
logged() {
    local mode=$1 options=$2 command arguments=()
    shift 2
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io -t "$mode" --image-opts "${arguments[@]}" "$above$options"
    od -A d -v -t x1 -w32 log | awk '{ $1 = $1 + 0 } NR <= 1 || $2 != "00" || /0[1-9a-f]/ || /[1-9a-f]0/' | awk '$2 != last || $2 == "00" { print } { last = $2 }' | head -60
    stat -c '%s bytes' log
}

: >log
say "one write"
logged writeback "" 'write -P 7 4k 512'
: >log
say "several kinds"
logged writeback "" 'write -P 7 4k 512' 'write -P 8 5000 10' 'write -z 64k 1k' 'discard 128k 64k' flush flush 'write -f -P 9 0 512'
: >log
say "written through"
logged writethrough "" 'write -P 7 4k 512' 'write -P 7 4k 512' 'write -z 64k 1k'
say "appended"
logged writeback ",log-append=on" 'write -P 6 8k 512'
: >log
say "larger sectors"
logged writeback ",log-sector-size=1024" 'write -P 7 512 512'
say "what can't be"
for option in log-sector-size=0 log-sector-size=16 log-sector-size=1000 log-sector-size=16M log-sector-size=x log-super-update-interval=0 \
    log-super-update-interval=x log-append=x log-append=on,log-sector-size=512 foo=1; do
    io --image-opts -c length "$above,$option"
done
printf 'no log\n' >log
io --image-opts -c length "$above,log-append=on"
io --image-opts -c length "driver=blklogwrites,log.filename=log"
io --image-opts -c length "driver=blklogwrites,file.driver=qcow2,file.file.filename=$IMAGE"
