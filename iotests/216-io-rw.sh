#!/usr/bin/env bash
# title: qemu-io: reads and writes
# breaks: qemu-io reads, writes or verifies other bytes than asked, or says so in other words
# groups: io rw
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f "$IMAGE_FORMAT" "$IMAGE" 1M

say "patterns"
io_commands "$IMAGE" 'write 0 512' 'read -v 0 16' 'write -P 0xff 512 512' 'read -P 255 512 512' 'write -P 1 1k 100' 'read -P 1 1k 100' \
    'read -P 0 1124 412' 'read -P 2 1k 100' 'read -v 1020 40'
say "a part of a pattern"
io_commands "$IMAGE" 'write -P 7 64k 4k' 'read -P 7 -s 1k -l 2k 63k 4k' 'read -P 7 -l 1k 64k 4k' 'read -P 7 -s 5k 63k 4k' 'read -P 7 -s 3k -l 3k 63k 4k' \
    'read -P 7 -s 1k -l 4k 63k 5k' 'read -s 1k 63k 4k' 'read -P 7 -s -1 63k 4k'
say "quiet, and figures in one line"
io_commands "$IMAGE" 'read -q 0 512' 'write -q 0 512' 'read -P 9 -q 0 512' 'read -C 0 512' 'write -C 0 512' 'read -Cq 0 512'
say "sizes and offsets in every spelling"
io_commands "$IMAGE" 'write -P 3 0x400 0x200' 'write -P 3 1K 512' 'write -P 3 0.5k 512' 'read -P 3 1024 1b' 'read 1M 512' 'read 1048575 1' 'read 1048575 2' \
    'read -1 512' 'read 0 -1' 'read 0 nonsense' 'read nonsense 512' 'read 0 4G' 'read 0 2147483136' 'read 1E 512'
say "vectors"
io_commands "$IMAGE" 'writev -P 4 128k 512 1k 2k' 'readv -P 4 128k 512 1k 2k' 'readv -v 128k 4 4' 'readv -P 5 128k 512' 'writev 0' 'readv 128k 512 0 512' 'writev -q -P 4 128k 512'
say "asynchronous"
io_commands "$IMAGE" 'aio_write -P 6 256k 64k' aio_flush 'aio_read -P 6 256k 64k' aio_flush 'aio_read -P 7 256k 512' aio_flush 'aio_write -z 256k 4k' aio_flush \
    'aio_read -P 0 256k 4k' aio_flush 'aio_write -q -P 6 256k 512' aio_flush 'aio_read -C 0 512' aio_flush
say "zeros, discards, flush"
io_commands "$IMAGE" 'write -z 512k 64k' 'read -P 0 512k 64k' 'write -z -u 512k 64k' 'write -P 8 600k 100k' 'discard 640k 32k' flush 'write -f -P 8 600k 1k' \
    'write -z -P 1 0 512' 'write -u 0 512' 'write -z -c 0 64k' 'write -z -n 0 64k' 'write -n 0 512'
say "from a file"
printf 'abcdefgh' >pattern
io_commands "$IMAGE" 'write -s pattern 700k 20' 'read -v 700k 24' 'write -s missing 0 512' 'write -s pattern -P 1 0 512'
: >empty
io_commands "$IMAGE" 'write -s empty 0 512'
say "not aligned"
io_commands "$IMAGE" 'write -P 0x11 801k 1' 'write -P 0x22 820225 511' 'write -P 0x33 820223 2' 'read -v 820220 10' 'read -P 0x22 820225 511'
say "wrong ways to ask"
io_commands "$IMAGE" read 'read 0' 'read 0 512 512' 'read -Z 0 512' 'write' 'write -P 256 0 512' 'write -P -1 0 512' 'write -P x 0 512' 'write 0 512 512' \
    discard 'discard 0' 'flush 1' 'length 1' nonsense '' '-c' 'help nonsense' 'alloc' 'truncate' 'readv' 'aio_read' 'aio_write 0'
