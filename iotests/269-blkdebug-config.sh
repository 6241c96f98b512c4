#!/usr/bin/env bash
# title: blkdebug's file
# breaks: a configuration of blkdebug is read otherwise
# groups: blkdebug
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 "$IMAGE" 1M
quiet io -f qcow2 -c 'write -q -P 5 0 128k' "$IMAGE"

# with TEXT COMMAND…
with() {
    printf "$1" >config
    shift
    sed 's/^/| /' config
    io_commands "blkdebug:config:$IMAGE" "$@"
}
with '[inject-error]\nevent = "read_aio"\n' 'read 0 512' 'write 0 512'
with '[inject-error]\nevent = "read_aio"\nerrno = "28"\nonce = "on"\n' 'read 0 512' 'read 0 512'
with '# comment\n\n[inject-error "a"]\n  event  =  "read_aio"\n[inject-error "b"]\nevent = "write_aio"\nerrno = "28"\n' 'read 0 512' 'write 0 512'
with '[set-state]\nevent = "write_aio"\nstate = "1"\nnew_state = "2"\n[inject-error]\nstate = "2"\nevent = "read_aio"\n' 'read 0 512' 'write 0 512' 'read 0 512'
say "what can't be read"
for text in 'event = "read_aio"\n' 'garbage\n' '[foo]\n' '[inject-error\nevent = "none"\n' '[inject-error]\nevent = none\n' '[inject-error]\nevent = "foo"\n' '[inject-error]\nerrno = "5"\n' \
    '[inject-error]\nevent = "none"\nfoo = "1"\n' '[inject-error]\nevent = "none"\nonce = "x"\n' '[inject-error]\nevent = "none"\nerrno = "x"\n' '[set-state]\nevent = "none"\nerrno = "3"\n' \
    '[inject-error "a"]\nevent = "none"\n[inject-error "a"]\nevent = "none"\n' '[inject-error]\nevent = "none"\niotype = "foo"\n'; do
    with "$text" 'read 0 512'
done
mkdir directory
io_commands "blkdebug:directory:$IMAGE" length
io_commands "blkdebug:none:$IMAGE" length
io_commands "blkdebug:$IMAGE" length
say "in option trees"
tree="driver=qcow2,file.driver=blkdebug,file.image.filename=$IMAGE"
for options in file.inject-error.event=read_aio file.inject-error.0=none file.inject-error.1.event=none file.inject-error.0.foo=1 file.set-state.0.errno=3 file.foo=1 file.align=3 file.max-transfer=1000; do
    io --image-opts -c 'read 0 512' "$tree,$options"
done
say "errors that are no failures"
io --image-opts -c 'discard 0 64k' -c 'write -z 64k 64k' -c 'read 0 512' "driver=raw,file.driver=blkdebug,file.image.filename=$IMAGE,file.inject-error.0.event=none,file.inject-error.0.errno=95"
