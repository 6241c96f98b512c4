#!/usr/bin/env bash
# title: discard and write-zeroes
# breaks: a guest reads old data where it discarded or zeroed, or space is not given back
# groups: discard rw map
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

make base 1M
quiet io -f qcow2 -c 'write -P 9 0 1M' base
tell() {
    img map --output=json "$IMAGE"
    img check "$IMAGE"
    layout "$IMAGE"
    peek "$IMAGE" 262144 128
}
for compat in 0.10 1.1; do
    for backing in none base; do
        for command in 'discard' 'write -z' 'write -z -u' 'write -z -n' 'write -z -u -n'; do
            say "$compat, backing $backing, $command"
            rm -f "$IMAGE"
            if [ $backing = none ]; then
                make "$IMAGE" 1M -o compat=$compat
            else
                make "$IMAGE" 1M -o compat=$compat -b base -F qcow2
            fi
            quiet io -f qcow2 -c 'write -P 1 0 128k' -c 'write -P 2 256k 128k' -c 'write -c -P 3 384k 64k' "$IMAGE"
            io_commands "$IMAGE" "$command 0 64k" "$command 80k 16k" "$command 200k 100k" "$command 384k 64k" \
                "$command 600k 200k" "$command 0 64k" 'read -v 65530 16' 'read -v 131070 16' 'read -v 307194 16' 'read -v 1010k 16'
            tell
        done
    done
done
