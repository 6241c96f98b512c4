#!/usr/bin/env bash
# title: create options of qcow2 that go together, or do not
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
