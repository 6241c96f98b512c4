#!/usr/bin/env bash
# title: what blkdebug is told
# breaks: an option of blkdebug is taken for another, or a wrong one is not refused by name
# groups: blkdebug options
# formats: raw
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f raw "$IMAGE" 1M

# debug OPTIONS COMMAND…
debug() {
    local options=driver=blkdebug,image.filename=$IMAGE$1 command arguments=()
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io --image-opts "$options" "${arguments[@]}"
}
E=,inject-error.0

say "which requests fail"
for iotype in read write write-zeroes discard; do
    debug "$E.event=none$E.iotype=$iotype" 'write 0 4k' 'read 0 4k' 'write -z 0 4k' 'discard 0 4k'
done
debug "$E.event=none$E.sector=8" 'read 0 4k' 'read 4k 4k' 'read 3584 1024' 'read 8k 4k' 'write 0 8k' 'write -z 0 4k' 'write -z 4k 4k' 'discard 4k 4k'
debug "$E.event=none$E.errno=28" 'write 0 4k' 'read 0 4k'
debug "$E.event=none$E.once=on$E.immediately=on" 'read 0 4k' 'read 0 4k'
say "states"
debug "$E.event=pwritev$E.state=2,set-state.0.event=pwritev,set-state.0.new_state=2" 'write 0 4k' 'write 0 4k' 'read 0 4k'
debug "$E.event=pwritev$E.iotype=read,inject-error.1.event=pwritev_zero,inject-error.1.iotype=discard" 'write 0 4k' 'read 0 4k' 'write -z 0 4k' 'read 0 4k' 'discard 0 4k'
debug "$E.event=pwritev$E.errno=28$E.once=on,inject-error.1.event=pwritev,inject-error.1.errno=13,inject-error.1.once=on" 'write 0 4k' 'read 0 4k' 'read 0 4k' 'write 0 4k'
say "a configuration file"
cat >rules <<'EOF'
# the first read fails
[inject-error]
event = "none"
iotype = "read"
errno = "28"
once = "on"

[set-state]
event = "pwritev"
state = "1"
new_state = "2"
EOF
io -f raw -c 'read 0 512' -c 'read 0 512' "blkdebug:rules:$IMAGE"
io -f raw -c 'read 0 512' "blkdebug::$IMAGE"
img info -f raw "blkdebug:rules:$IMAGE"
img info --image-opts "driver=blkdebug,image.filename=$IMAGE,align=512,config=rules"
for text in '[nonsense]' 'event = "none"' '[inject-error]\nnonsense = "1"' '[inject-error]\nevent = "nonsense"' '[inject-error]\nerrno = "5"' '[inject-error]\nevent = none'; do
    printf "$text\n" >wrong
    printf "%s\n" "$text"
    io -f raw -c length "blkdebug:wrong:$IMAGE"
done
say "refused"
io -f raw -c length "blkdebug:$IMAGE"
io -f raw -c length "blkdebug:missing:$IMAGE"
io -f raw -c length blkdebug::missing
io --image-opts driver=blkdebug -c length
io --image-opts driver=blkdebug,image=missing -c length
debug ,nonsense=1 length
for option in event=nonsense errno=5 event=none$E.nonsense=1 event=none$E.iotype=nonsense event=none$E.errno=x event=none$E.once=x; do
    debug "$E.$option" length
done
debug ",inject-error.1.event=none" length
debug ",take-child-perms.0=nonsense" length
for option in align=3 align=2147483648 align=x align=512,max-transfer=700 align=512,opt-write-zero=700 align=512,max-write-zero=700 \
    align=512,opt-discard=700 align=512,max-discard=700 opt-discard=1024,max-discard=1536 max-transfer=2147483648; do
    debug ",$option" length
done
img create -f raw "blkdebug::new" 1M
