#!/usr/bin/env bash
# title: limits by name
# breaks: a throttle group's limits are read otherwise, or don't limit
# groups: filters io
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
over="driver=throttle,throttle-group=g,file.driver=qcow2,file.file.filename=$IMAGE"

say "without limits"
io --object throttle-group,id=g --image-opts -c length -c 'write -P 5 0 64k' -c 'read -P 5 0 64k' -c info -c map -c 'discard 0 64k' -c 'write -z 0 4k' -c flush "$over"
say "five requests a second take their time"
start=$(date +%s%N)
io --object throttle-group,id=g,limits.iops-total=5 --image-opts -c 'read 0 512' -c 'read 0 512' -c 'read 0 512' -c 'read 0 512' "$over"
if [ $((($(date +%s%N) - start) / 1000000)) -ge 300 ]; then echo "slow"; fi
say "groups that can't be"
for options in x-iops-total=10,x-iops-write=10 x-iops-total=-1 x-iops-total=x x-iops-total-max=10 x-iops-total=10,x-iops-total-max=5 x-iops-total=10,x-iops-total-max-length=0 \
    x-iops-total=10,x-iops-total-max-length=2 x-iops-size=10 foo=1 limits=foo limits.foo=1 limits.iops-total=x limits.bps-total=-1 limits.bps-read=1000000000000001; do
    io --object "throttle-group,id=g,$options" -c quit
done
io --object throttle-group -c quit
io --object throttle-group,id=1 -c quit
io --object throttle-group,id=g --object throttle-group,id=g -c quit
io --object throttle-group,help
say "nodes that can't be"
io --image-opts -c length "$over"
io --object throttle-group,id=g --image-opts -c length "driver=throttle,file.filename=$IMAGE"
io --object throttle-group,id=g --image-opts -c length "$over,foo=1"
io --object throttle-group,id=g --image-opts -c length driver=throttle,throttle-group=g
