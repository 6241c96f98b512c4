#!/usr/bin/env bash
# title: what waits for a suspended write, and what does not
# breaks: a request waits for ever, or overtakes one that it depends on, or the image is damaged by both
# groups: blkdebug io rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# over a suspended write of 64 KiB at 0: PROTOTYPE COMMAND…
over() {
    local prototype=$1
    shift
    cp "$prototype" "$IMAGE"
    io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 1 0 64k' 'wait_break A' "$@" \
        'resume A' aio_flush 'read -v 0 16' 'read -v 4096 16' 'read -v 64k 16' map
    quiet img check "$IMAGE"
}

quiet img create -f qcow2 plain.qcow2 1M
quiet img create -f qcow2 -o compat=0.10 two.qcow2 1M
quiet img create -f qcow2 -o extended_l2=on extended.qcow2 1M
quiet img create -f qcow2 backing.qcow2 1M
quiet io -f qcow2 -c 'write -P 7 0 1M' backing.qcow2
quiet img create -f qcow2 -b backing.qcow2 -F qcow2 overlay.qcow2
quiet img create -f qcow2 written.qcow2 1M
quiet io -f qcow2 -c 'write -P 8 0 256k' written.qcow2
quiet img create -f qcow2 zero.qcow2 1M
quiet io -f qcow2 -c 'write -P 8 0 256k' -c 'write -z 0 256k' zero.qcow2
quiet img create -f qcow2 packed.qcow2 1M
quiet io -f qcow2 -c 'write -c -P 6 0 64k' -c 'write -c -P 5 64k 64k' packed.qcow2
cp written.qcow2 shared.qcow2
quiet img snapshot -c before shared.qcow2

for prototype in plain two extended overlay written zero packed shared; do
    say "$prototype: reads, zeros, discards and lengths don't wait"
    over $prototype.qcow2 'read -v 0 16' 'read -v 4096 16'
    case $prototype in
        overlay | packed | shared) ;; # zeros are written there
        *) over $prototype.qcow2 'write -z 4k 4k' 'read -v 4096 16' ;;
    esac
    over $prototype.qcow2 'truncate 2M' length
    over $prototype.qcow2 'truncate 96k' length 'alloc 0 96k' flush
done
for prototype in plain two extended overlay; do
    say "$prototype: what has nothing there yet"
    over $prototype.qcow2 'write -z 0 64k' 'read -v 0 16'
    over $prototype.qcow2 'discard 0 128k' 'write -c -P 4 0 64k' 'read -v 0 16'
    over $prototype.qcow2 'write -P 3 64k 64k' 'write -P 3 512k 4k' 'write -b -P 5 0 512' 'read -b -P 5 0 512'
    say "$prototype: a write of the same cluster waits"
    over $prototype.qcow2 'aio_write -P 2 4k 4k'
    over $prototype.qcow2 'aio_write -P 2 0 4k' 'read -v 0 16'
    over $prototype.qcow2 'aio_write -P 2 60k 8k' 'sleep 20' 'read -v 64k 16'
done
say "a chain of writes that wait for each other"
over plain.qcow2 'break write_aio B' 'aio_write -P 2 4k 4k' 'resume A' 'wait_break B' 'sleep 20' 'aio_write -P 3 8k 4k' 'read -v 4096 16' 'resume B' aio_flush \
    'break write_aio A' 'aio_write -P 9 128k 4k' 'wait_break A'
say "the part before the cluster is written first"
cp plain.qcow2 "$IMAGE"
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 1 64k 64k' 'wait_break A' 'break write_aio B' 'aio_write -P 2 0 256k' 'wait_break B' \
    'resume B' 'sleep 20' 'read -v 0 16' 'resume A' aio_flush 'read -P 2 0 256k' map
quiet img check "$IMAGE"
say "subclusters of a cluster that is there"
cp extended.qcow2 "$IMAGE"
io_commands "blkdebug::$IMAGE" 'write -P 8 32k 2k' 'break write_aio A' 'aio_write -P 1 0 2k' 'wait_break A' 'write -P 2 4k 2k' 'write -P 3 32k 1k' \
    'resume A' aio_flush map
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 1 8k 1k' 'wait_break A' 'aio_write -P 2 9k 1k' 'sleep 20' 'read -v 9k 16' 'resume A' aio_flush \
    'read -P 1 8k 1k' 'read -P 2 9k 1k'
quiet img check "$IMAGE"
say "a suspended read"
cp written.qcow2 "$IMAGE"
io_commands "blkdebug::$IMAGE" 'break read_aio A' 'aio_read -P 2 0 64k' 'wait_break A' 'write -P 2 0 64k' 'resume A' aio_flush
say "one event, several breakpoints: the newest first"
cp plain.qcow2 "$IMAGE"
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'break write_aio B' 'aio_write -P 1 0 64k' 'aio_write -P 2 64k 64k' 'wait_break A' 'wait_break B' \
    'resume A' 'sleep 20' 'resume B' aio_flush
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'break write_aio A' 'aio_write -P 1 0 64k' 'wait_break A' 'aio_write -q -P 2 64k 64k' 'sleep 20' 'remove_break A' aio_flush
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 1 0 64k' 'wait_break A' 'open x' 'resume B' 'remove_break B' 'resume A' 'resume A' aio_flush
quiet img check "$IMAGE"
