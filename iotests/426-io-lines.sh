#!/usr/bin/env bash
# title: lines that qemu-io reads: long ones, zero bytes, no end; pattern files without an end
# breaks: a script's commands are cut in other places, or a device as a pattern file fills the memory
# groups: io errors
# formats: raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make "$IMAGE" 1M
lines() {
    printf '$ printf %q | qemu-io\n' "$1"
    # shellcheck disable=SC2059
    printf "$1" | io -f raw "$IMAGE"
}

say "zero bytes and ends"
lines 'length\0x\nlength\n'
lines '\0length\nlength\n'
lines 'length\nlength'
lines '\n\n \n\t\n# length\nlength\r\nlength\n'

say "lines beyond the buffer"
for blanks in 1000 1016 1017 1018 1019 1022 1023 1024 1025 2046 2047 5000; do
    printf '%s blanks\n' "$blanks"
    printf "%${blanks}slength\nlength\n" '' | io -f raw "$IMAGE"
done
printf '%s blanks between\n' 1500
printf 'read%1500s0 512\nlength\n' '' | io -f raw "$IMAGE"
printf 'many words\n'
# shellcheck disable=SC2046
printf 'length %s\n' "$(printf 'a %.0s' $(seq 2000))" | io -f raw "$IMAGE"

say "pattern files"
io -f raw -c 'write -s /dev/zero 0 4k' -c 'read -P 0 0 4k' "$IMAGE"
io -f raw -c 'write -s /dev/null 0 4k' "$IMAGE"
printf 'a longer pattern than what is written' >pattern
io -f raw -c 'write -s pattern 0 8' -c 'read -v 0 16' "$IMAGE"
io -f raw -c 'write -s pattern 0 0' "$IMAGE"
