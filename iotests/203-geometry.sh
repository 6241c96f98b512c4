#!/usr/bin/env bash
# title: cluster sizes and refcount widths
# breaks: tables are laid out or indexed wrongly for some cluster size or refcount width
# groups: create rw snapshot check
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

# What one image goes through: writes over cluster borders and over the end of a table, a snapshot, zeros.
exercise() {
    io -f qcow2 -c 'write -P 1 0 300k' -c 'write -P 2 511 2' -c 'write -P 3 65535 514' -c 'write -P 4 4095k 1k' \
        -c 'write -P 5 2097151 2' "$IMAGE" | grep -v ops
    io -f qcow2 -c 'read -P 1 0 511' -c 'read -P 2 511 2' -c 'read -P 1 513 60000' -c 'read -P 3 65535 514' \
        -c 'read -P 0 1M 1000k' -c 'read -P 5 2097151 2' -c 'read -P 0 2097153 1000000' -c 'read -P 4 4095k 1k' "$IMAGE" | grep -v ops
    [ "$1" -gt 1 ] && img snapshot -c one "$IMAGE"
    io -f qcow2 -c 'write -P 6 0 100000' -c 'write -z 128k 64k' -c 'discard 200k 64k' -c 'read -P 6 0 100000' \
        -c 'read -P 0 128k 64k' -c 'read -P 1 264k 36k' "$IMAGE" | grep -v ops
    img check -f qcow2 "$IMAGE"
    if [ "$1" -gt 1 ]; then
        img snapshot -a one "$IMAGE"
        io -f qcow2 -c 'read -P 1 513 60000' -c 'read -P 1 100k 200k' "$IMAGE" | grep -v ops
        img snapshot -d one "$IMAGE"
        img check -f qcow2 "$IMAGE"
    fi
}

for cluster_size in 512 1k 4k 64k 256k 2M; do
    say "cluster_size=$cluster_size"
    img create -f qcow2 -o "cluster_size=$cluster_size" "$IMAGE" 4M
    exercise 16
done
for refcount_bits in 1 2 4 8 16 32 64; do
    for cluster_size in 512 64k; do
        say "refcount_bits=$refcount_bits, cluster_size=$cluster_size"
        img create -f qcow2 -o "cluster_size=$cluster_size,refcount_bits=$refcount_bits" "$IMAGE" 4M
        exercise "$refcount_bits"
    done
done

# A snapshot that was refused may leave a cluster that nobody uses, never one that is used and not counted.
no_corruption() {
    _run "$QEMU_IMG" check -f qcow2 "$IMAGE"
    case $status in
        0 | 3) echo "no corruption" ;;
        *) _print ;;
    esac
}

say "a count that can't go higher"
quiet img create -f qcow2 -o refcount_bits=1 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 64k' "$IMAGE"
img snapshot -c one "$IMAGE"
no_corruption
quiet img create -f qcow2 -o refcount_bits=2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -P 1 0 64k' "$IMAGE"
for name in one two three four; do
    img snapshot -c "$name" "$IMAGE"
done
img snapshot -l "$IMAGE"
no_corruption
io -f qcow2 -c 'read -P 1 0 64k' "$IMAGE"
