#!/usr/bin/env bash
# title: every command on an image that was just marked corrupt
# breaks: a session that met a corruption answers as if the image were still there, or a write that only then found it fails
# groups: errors rw
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# Counted by a block that lies on the L1 table: the first allocation finds it.
damaged() {
    rm -f "$IMAGE"
    make "$IMAGE" 1114112 "$@"
    table=$(number "$IMAGE" 48 8)
    poke64 "$IMAGE" "$table" $((3 << 16))
}

say "after a write that failed"
while read -r command; do
    damaged
    io_commands "$IMAGE" 'write 0 512' "$command"
done <<'COMMANDS'
truncate 2M
length
info
map
alloc 0 64k
alloc 4M 64k
flush
discard 0 64k
discard 4M 64k
write -z 0 64k
write -c 0 64k
write -b 0 512
read 0 512
read 2M 512
read -b 0 512
aio_write 0 512
aio_read 0 512
writev 0 512
readv 0 512
COMMANDS

say "counted by a block that is not aligned: what only frees succeeds, and the image is dead"
for compat in 0.10 1.1; do
    for command in 'write -z 0 64k' 'write -z -u 0 64k' 'write -z 0 1k' 'discard 0 64k' map 'alloc 0 64k'; do
        rm -f "$IMAGE"
        make "$IMAGE" 64k -o "compat=$compat"
        quiet io -f qcow2 -c 'write -P 15 0 64k' "$IMAGE"
        poke64 "$IMAGE" "$(number "$IMAGE" 48 8)" $((0x20200))
        io -d unmap -f qcow2 -c "$command" -c 'read 0 512' "$IMAGE"
    done
done

say "an image that shrinks, with a refcount block that nothing counts"
damaged -o cluster_size=512
poke64 "$IMAGE" "$table" 1024
poke64 "$IMAGE" $((table + 24)) $((0x4000))
img resize -f qcow2 --shrink "$IMAGE" 64k
layout "$IMAGE"
