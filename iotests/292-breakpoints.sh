#!/usr/bin/env bash
# title: requests wait at breakpoints
# breaks: two requests can't be made to overlap in a chosen way, or a request stays where it stopped
# groups: blkdebug io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M

say "without a debugging node"
io_commands "$IMAGE" 'break write_aio A' 'resume A' 'remove_break A'
say "one after the other"
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 1 0 64k' 'wait_break A' 'break write_aio B' 'aio_write -P 2 64k 64k' 'wait_break B' \
    'resume B' 'sleep 100' 'resume A' aio_flush 'read -P 1 0 64k' 'read -P 2 64k 64k'
say "others go on meanwhile"
io_commands "blkdebug::$IMAGE" 'break write_aio A' 'aio_write -P 3 128k 64k' 'wait_break A' 'sleep 20' 'write -P 4 192k 64k' map 'resume A' aio_flush 'read -P 3 128k 64k'
say "what is not there"
io_commands "blkdebug::$IMAGE" 'break nonsense A' 'resume A' 'remove_break A' 'break write_aio A' 'remove_break A' 'write 0 4k'
img check "$IMAGE"
