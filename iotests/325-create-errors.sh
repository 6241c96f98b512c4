#!/usr/bin/env bash
# title: options that create refuses
# breaks: a wrong option is taken, or the words don't say which
# groups: create options errors
# formats: raw qcow qcow2 luks
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

try() {
    rm -f "$IMAGE"
    img create -f "$IMAGE_FORMAT" "$@"
    [ "$status" -ne 0 ] || length_of "$IMAGE"
}
secret=(--object 'secret,id=s,data=geheim')
for size in '' 0 1 511 1000 -1 1M1 nonsense 1.5k 1.3333M 0x1000 1e3 9E 8E 18446744073709551616 ' 4k' 4K 4m 1T; do
    if [ "$IMAGE_FORMAT" = luks ]; then
        try "${secret[@]}" -o key-secret=s,iter-time=0 "$IMAGE" "$size"
    else
        try "$IMAGE" "$size"
    fi
done
try
try "$IMAGE"
try "$IMAGE" 1M 2M
try -q "$IMAGE" 64M
try -o size=1M "$IMAGE"
try -o size=1M "$IMAGE" 2M
try -o '' "$IMAGE" 1M
try -o size "$IMAGE" 1M
try -o =1 "$IMAGE" 1M
try -o ,size=1M "$IMAGE" 1M
try -o nonsense=on "$IMAGE" 1M
try -o preallocation "$IMAGE" 1M
try -o preallocation=maybe "$IMAGE" 1M
try -o nocow=on "$IMAGE" 1M
try -o nocow=maybe "$IMAGE" 1M
try -o extent_size_hint=1M "$IMAGE" 1M
try -o extent_size_hint=nonsense "$IMAGE" 1M
try -b missing "$IMAGE" 1M
try -b missing -F raw "$IMAGE" 1M
try -b missing -F nonsense "$IMAGE" 1M
try -F raw "$IMAGE" 1M
try -b '' "$IMAGE" 1M
try -u -b missing -F raw "$IMAGE" 1M
try -u -b missing "$IMAGE" 1M
try -u "$IMAGE" 1M
try -o backing_file=missing,backing_fmt=raw "$IMAGE" 1M
try -b a -o backing_file=b "$IMAGE" 1M
try -o encryption=on "$IMAGE" 1M
try -o encryption=off "$IMAGE" 1M
try -o encryption=on,encrypt.format=aes "$IMAGE" 1M
try -o encrypt.format=nonsense "$IMAGE" 1M
try -o encrypt.format=aes "$IMAGE" 1M
try -o encrypt.format=aes,encrypt.key-secret=missing "$IMAGE" 1M
try -o encrypt.key-secret=s "$IMAGE" 1M
try "${secret[@]}" -o encrypt.format=aes,encrypt.key-secret=s "$IMAGE" 1M
try "${secret[@]}" -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0 "$IMAGE" 1M
try "${secret[@]}" -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=0,encrypt.cipher-alg=nonsense "$IMAGE" 1M
try "${secret[@]}" -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=nonsense "$IMAGE" 1M
try "${secret[@]}" -o encrypt.format=luks,encrypt.key-secret=s,encrypt.hash-alg=md6 "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,iter-time=0 "$IMAGE" 1M
try "${secret[@]}" -o key-secret=missing "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,cipher-alg=aes-128,cipher-mode=xts,ivgen-alg=plain,iter-time=0 "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,cipher-alg=nonsense "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,cipher-mode=nonsense "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,ivgen-alg=essiv,iter-time=0 "$IMAGE" 1M
try "${secret[@]}" -o key-secret=s,ivgen-hash-alg=sha256,iter-time=0 "$IMAGE" 1M
try --object secret,id=s "$IMAGE" 1M
try --object nonsense,id=s "$IMAGE" 1M
try --object secret,data=x "$IMAGE" 1M
try --nonsense "$IMAGE" 1M
try -f nonsense "$IMAGE" 1M
img create "$IMAGE" 1M
img create -f '' "$IMAGE" 1M
