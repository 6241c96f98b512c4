#!/usr/bin/env bash
# title: every create option of qcow2 and its limits
# breaks: an option is ignored, or one that can't be is taken
# groups: create options errors
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

try() {
    rm -f "$IMAGE" data
    img create -f qcow2 -o "$1" "$IMAGE" "${2-1M}"
    [ "$status" -eq 0 ] || return 0
    layout "$IMAGE"
    img check "$IMAGE" | tail -n 1
}
for size in 256 511 512 1000 1024 3k 64k 64K 2M 4M 0 -1 nonsense 65537 2048k; do
    try "cluster_size=$size"
done
for bits in 0 1 2 3 4 7 8 16 17 32 64 65 128 -1 nonsense; do
    try "refcount_bits=$bits"
done
for compat in 0.10 1.1 v2 v3 2 3 0.9 1.10 '' nonsense; do
    try "compat=$compat"
done
for type in zlib zstd '' nonsense; do
    try "compression_type=$type"
    try "compat=0.10,compression_type=$type"
done
