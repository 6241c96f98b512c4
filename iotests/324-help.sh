#!/usr/bin/env bash
# title: help texts
# breaks: a script that asks what the tool can do is told otherwise
# groups: help
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for command in create convert amend; do
    img $command -f "$IMAGE_FORMAT" -O "$IMAGE_FORMAT" -o help
    img $command -f "$IMAGE_FORMAT" -o help
    img $command -f "$IMAGE_FORMAT" -o '?'
    img $command -o help
    img $command -O "$IMAGE_FORMAT" -o help x y
    img $command -f "$IMAGE_FORMAT" -o help,size=1M x
    img $command -f "$IMAGE_FORMAT" -o size=1M,help x
    img $command -f "$IMAGE_FORMAT" -o size=1M -o help x
done
img create -f nonsense -o help
img measure -O "$IMAGE_FORMAT" -o help
for command in amend bench bitmap check commit compare convert create dd info map measure snapshot rebase resize; do
    [ "$IMAGE_FORMAT" != raw ] || img $command --help
    [ "$IMAGE_FORMAT" != raw ] || img $command -h
    [ "$IMAGE_FORMAT" != raw ] || img $command
    [ "$IMAGE_FORMAT" != raw ] || img $command --nonsense
    [ "$IMAGE_FORMAT" != raw ] || img $command -f
    [ "$IMAGE_FORMAT" != raw ] || img $command -Z
done
