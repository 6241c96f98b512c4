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
    [ "$status" -eq 0 ] || return
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
try lazy_refcounts=on
try lazy_refcounts=on,compat=0.10
try lazy_refcounts=maybe
try extended_l2=on
try extended_l2=on,cluster_size=16k
try extended_l2=on,cluster_size=8k
try extended_l2=on,compat=0.10
try refcount_bits=8,compat=0.10
try data_file=data
try data_file=data,data_file_raw=on
try data_file_raw=on
try data_file=data,compat=0.10
try data_file=data,data_file_raw=maybe
try data_file=/nonexistent/data
try data_file=
try preallocation=metadata,lazy_refcounts=on
try preallocation=full,cluster_size=2M 5M
try cluster_size=512 128G
try cluster_size=512 129G
try cluster_size=64k 2P
try cluster_size=64k 3P
try cluster_size=2M 2E
try cluster_size=2M 63P
for name in "$(printf 'x%.0s' {1..1023})" "$(printf 'x%.0s' {1..1024})"; do
    rm -f "$IMAGE"
    img create -q -u -f qcow2 -b "$name" -F raw "$IMAGE" 1M 2>&1 | sed 's/x\{100,\}/LONG/g'
    img create -q -u -f qcow2 -o cluster_size=512 -b "$name" -F raw "$IMAGE" 1M 2>&1 | sed 's/x\{100,\}/LONG/g'
done 2>&1 | sed 's/x\{100,\}/LONG/g'
