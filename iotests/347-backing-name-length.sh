#!/usr/bin/env bash
# title: backing file names as long as the header has room for
# breaks: a name is cut short, or one that does not fit is written over what lies behind
# groups: create backing limits
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for name in "$(printf 'x%.0s' {1..1023})" "$(printf 'x%.0s' {1..1024})"; do
    rm -f "$IMAGE"
    img create -q -u -f qcow2 -b "$name" -F raw "$IMAGE" 1M 2>&1 | sed 's/x\{100,\}/LONG/g'
    img create -q -u -f qcow2 -o cluster_size=512 -b "$name" -F raw "$IMAGE" 1M 2>&1 | sed 's/x\{100,\}/LONG/g'
done
