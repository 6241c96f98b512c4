#!/usr/bin/env bash
# title: how options are parsed and listed
# breaks: an option list is split, repeated, escaped or documented in another way than the real tools do
# groups: options help create convert
# formats: qcow2
# requires: nothing
# origin: ours, from the one-line description "option parsing of create/convert/amend, -o help, repeated -o, every listed encrypt option"

. "$SUITE_COMMON"

size_and_clusters() {
    quiet img info -f qcow2 "$1" && img info -f qcow2 "$1" | grep -E 'virtual size|cluster_size|compat:|lazy|refcount bits|backing|compression'
}

say "create: several lists, the last word counts"
img create -f qcow2 -o cluster_size=4k "$IMAGE" 128M
size_and_clusters "$IMAGE"
img create -f qcow2 -o cluster_size=4k -o lazy_refcounts=on "$IMAGE" 128M
size_and_clusters "$IMAGE"
img create -f qcow2 -o cluster_size=4k -o lazy_refcounts=on -o cluster_size=8k "$IMAGE" 128M
size_and_clusters "$IMAGE"
img create -f qcow2 -o cluster_size=4k,cluster_size=8k "$IMAGE" 128M
size_and_clusters "$IMAGE"
img create -f qcow2 -o size=1M -o size=2M "$IMAGE"
size_and_clusters "$IMAGE"

say "create: help wherever it stands"
img create -f qcow2 -o help "$IMAGE" 128M
img create -f qcow2 -o '?' "$IMAGE" 128M | head -n 3
img create -f qcow2 -o cluster_size=4k,help "$IMAGE" 128M | head -n 3
img create -f qcow2 -o cluster_size=4k -o help "$IMAGE" 128M | head -n 3
img create -f qcow2 -o help,cluster_size=4k "$IMAGE" 128M | head -n 3
img create -f qcow2 -o help -o cluster_size=4k "$IMAGE" 128M | head -n 3
img create -f qcow2 -o cluster_size=4k -o '?' | head -n 3
img create -f qcow2 -o help
img create -f raw -o help
img create -f qcow -o help
img create -f luks -o help
img create -o help
img create -f nonsense -o help

say "create: commas that are part of a name"
img create -u -f qcow2 -o 'backing_file=base,,help,backing_fmt=raw' "$IMAGE" 1M
size_and_clusters "$IMAGE"
img create -u -f qcow2 -o 'backing_file=base,,?,backing_fmt=raw' "$IMAGE" 1M
img create -u -f qcow2 -o 'backing_file=a,,,,b,backing_fmt=raw' "$IMAGE" 1M
size_and_clusters "$IMAGE"
img create -u -f qcow2 -b 'a,b' -F raw "$IMAGE" 1M
size_and_clusters "$IMAGE"
img create -u -f qcow2 -o 'backing_file=a=b,backing_fmt=raw' "$IMAGE" 1M
size_and_clusters "$IMAGE"

say "create: commas where nothing is"
img create -f qcow2 -o 'cluster_size=4k,' -o refcount_bits=8 "$IMAGE" 1M
img create -f qcow2 -o cluster_size=4k -o ,help "$IMAGE" 1M | head -n 3
img create -f qcow2 -o cluster_size=4k -o ,, -o help "$IMAGE" 1M | head -n 3
img create -f qcow2 -o 'cluster_size=4k,,' -o help "$IMAGE" 1M | head -n 3
img create -f qcow2 -o backing_file=base -o ,, -o refcount_bits=8 "$IMAGE" 1M
img create -f qcow2 -o ' help' "$IMAGE" 1M
img create -f qcow2 -o 'help ' "$IMAGE" 1M
img create -f qcow2 -o helpme "$IMAGE" 1M

say "convert: the same"
quiet img create -f qcow2 "$IMAGE" 1M
img convert -O qcow2 -o cluster_size=4k "$IMAGE" out
size_and_clusters out
img convert -O qcow2 -o cluster_size=4k -o compat=0.10 -o cluster_size=8k "$IMAGE" out
size_and_clusters out
img convert -O qcow2 -o lazy_refcounts=on,refcount_bits=32 "$IMAGE" out
size_and_clusters out
img convert -O qcow2 -o help
img convert -O qcow2 -o '?' "$IMAGE" out | head -n 3
img convert -O qcow2 -o cluster_size=4k -o help "$IMAGE" out | head -n 3
img convert -O qcow2 -o help,cluster_size=4k "$IMAGE" out | head -n 3
img convert -O raw -o help "$IMAGE" out
img convert -o help "$IMAGE" out
img convert -O qcow2 -o unknown=1 "$IMAGE" out
img convert -O qcow2 -o cluster_size=3k "$IMAGE" out
img convert -O qcow2 -o 'cluster_size=4k,' -o compat=0.10 "$IMAGE" out
img convert -O qcow2 -o backing_fmt=raw "$IMAGE" out
img convert -O qcow2 -o backing_file=missing "$IMAGE" out
img convert -O qcow2 -o size=2M "$IMAGE" out
size_and_clusters out
img convert -O nonsense -o help "$IMAGE" out

say "each option of encrypt."
secret=(--object "secret,id=sec0,data=123456")
for list in \
    encrypt.format=aes,encrypt.key-secret=sec0 \
    encrypt.format=nonsense,encrypt.key-secret=sec0 \
    encrypt.format=,encrypt.key-secret=sec0 \
    encrypt.format=luks \
    encrypt.format=luks,encrypt.key-secret=sec1 \
    encrypt.key-secret=sec0 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.cipher-alg=rot13 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.cipher-mode=ebc \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.ivgen-alg=plain65 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.ivgen-hash-alg=sha3 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.hash-alg=crc32 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=soon \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5,encrypt.iter-time=10 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.detached-header=on,encrypt.iter-time=10 \
    encrypt.format=luks,encrypt.key-secret=sec0,encrypt.nonsense=1 \
    encrypt.format=aes,encrypt.key-secret=sec0,encrypt.cipher-alg=aes-256 \
    encryption=on,encrypt.format=luks,encrypt.key-secret=sec0 \
    encryption=on,encrypt.format=aes,encrypt.key-secret=sec0 \
    encryption=off,encrypt.format=aes,encrypt.key-secret=sec0 \
    encrypt=on; do
    img create -f qcow2 "${secret[@]}" -o "$list" "$IMAGE" 1M
done
img create -f qcow2 "${secret[@]}" -o encrypt.format=luks,encrypt.key-secret=sec0 \
    -o encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc -o encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256 \
    -o encrypt.hash-alg=sha1 -o encrypt.iter-time=10 "$IMAGE" 1M
img info "$IMAGE" | grep -E 'alg|mode|format:'

say "amend: its own list, and how it is parsed"
quiet img create -f qcow2 "$IMAGE" 1M
img amend -f qcow2 -o help "$IMAGE"
img amend -f qcow2 -o help
img amend -o help "$IMAGE"
img amend -f raw -o help
img amend -f qcow2 "$IMAGE"
img amend -f qcow2 -o unknown=1 "$IMAGE"
img amend -f qcow2 -o cluster_size=3k "$IMAGE"
img amend -f qcow2 -o cluster_size=32k "$IMAGE"
img amend -f qcow2 -o 'compat=0.10,' -o help "$IMAGE" | head -n 3
img amend -f raw -o size=1 "$IMAGE"
