#!/usr/bin/env bash
# title: bench
# breaks: a benchmark says how fast it was not
# groups: bench options
# formats: raw qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
once() { img bench -f "$IMAGE_FORMAT" "$@" "$IMAGE" | sed 's/in [0-9.]* seconds/in SOME seconds/'; }
once -c 1
once -c 10 -d 2 -s 4k
once -c 10 -w --pattern 5
io_commands "$IMAGE" 'read -P 5 0 40960'
once -c 10 -w --flush-interval=2
once -c 10 --flush-interval=2
once -c 10 -w --flush-interval=2 --no-drain
once -c 4 -o 100k -S 64k
once -c 4 -o 2M
once -c 4 -s 2M
once -c 4 -t none
once -c 4 -i native
once -c 4 -i threads
once -c 4 -n
once -c 4 -U
once -q -c 4
once -c 0
once -c -1
once -c nonsense
once -d 0
once -s 0
once -s 3G
once -S -1
once -o -1
once --pattern 256
once -i nonsense
once -t nonsense
once -n -t none -c 1
img bench
img bench missing
