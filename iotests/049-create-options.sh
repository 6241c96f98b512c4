#!/usr/bin/env bash
# title: create, its options, and how to get them wrong
# breaks: an option of create is taken in another way than the real tools take it, or a mistake makes an image instead of an error
# groups: create options backing
# formats: qcow2
# requires: nothing
# origin: ours, from the one-line description "create and every way to give and get wrong its options, encryption, sizes, backing"

. "$SUITE_COMMON"

create() {
    rm -f "$IMAGE"
    img create -f qcow2 "$@"
    if [ -e "$IMAGE" ]; then
        echo "there is a file"
    fi
}

say "sizes as an argument and as an option"
for size in 1073741824 1024M 1G 1.5G 0.5k 1048576k 512 1 511 513 1b 1K 2T 1P 0x10000 ' 1M' +1M; do
    create "$IMAGE" "$size"
    create -o "size=$size" "$IMAGE"
done

say "no size"
for size in '' -1024 -1k one 1kilobyte 1Z 1e3 1,5G '1 M' 8E 16E 9223372036854775807 9223372036854775808 18446744073709551616; do
    create "$IMAGE" "$size"
    create -o "size=$size" "$IMAGE"
done
create "$IMAGE"
create "$IMAGE" 1M 2M
create -o size=2M "$IMAGE" 1M
create

say "cluster sizes"
for size in 512 1024 65536 2M 2097152 64k 0.5k; do
    create -o "cluster_size=$size" "$IMAGE" 4M
done
for size in 0 256 1000 65537 4M 1G -1 -512 nonsense '' 64kk; do
    create -o "cluster_size=$size" "$IMAGE" 4M
done

say "versions"
for compat in 0.10 1.1 v2 v3; do
    create -o "compat=$compat" "$IMAGE" 4M
done
for compat in 0.42 1 '' v1 foobar; do
    create -o "compat=$compat" "$IMAGE" 4M
done

say "preallocation"
for mode in off metadata falloc full; do
    create -o "preallocation=$mode" "$IMAGE" 256k
done
create -o preallocation=1234 "$IMAGE" 256k
create -o preallocation= "$IMAGE" 256k

say "refcount widths"
for bits in 1 2 4 8 16 32 64; do
    create -o "refcount_bits=$bits" "$IMAGE" 4M
done
for bits in 0 3 128 -1 nonsense 1k; do
    create -o "refcount_bits=$bits" "$IMAGE" 4M
done
create -o refcount_bits=16,compat=0.10 "$IMAGE" 4M
create -o refcount_bits=32,compat=0.10 "$IMAGE" 4M

say "lazy refcounts and compression"
create -o compat=1.1,lazy_refcounts=off "$IMAGE" 4M
create -o compat=1.1,lazy_refcounts=on "$IMAGE" 4M
create -o compat=0.10,lazy_refcounts=off "$IMAGE" 4M
create -o compat=0.10,lazy_refcounts=on "$IMAGE" 4M
create -o lazy_refcounts=maybe "$IMAGE" 4M
create -o compression_type=zlib "$IMAGE" 4M
create -o compression_type=zstd "$IMAGE" 4M
create -o compression_type=lz4 "$IMAGE" 4M
create -o compression_type=zlib,compat=0.10 "$IMAGE" 4M
create -o compression_type=zstd,compat=0.10 "$IMAGE" 4M

say "encryption, the old way and its absence"
create -o encryption=off "$IMAGE" 4M
create --object secret,id=sec0,data=123456 -o encryption=on,encrypt.key-secret=sec0 "$IMAGE" 4M
create -o encryption=on "$IMAGE" 4M
create -o encryption=perhaps "$IMAGE" 4M
create -e "$IMAGE" 4M
create -6 "$IMAGE" 4M

say "backing files"
quiet img create -f raw base.raw 3M
quiet img create -f qcow2 base.qcow2 5M
create -b base.raw -F raw "$IMAGE"
create -b base.qcow2 -F qcow2 "$IMAGE"
create -b base.qcow2 -F qcow2 "$IMAGE" 7M
create -b base.qcow2 -F qcow2 "$IMAGE" 1M
create -o backing_file=base.raw,backing_fmt=raw "$IMAGE"
create -b base.raw -o backing_fmt=raw "$IMAGE"
create -o backing_file=base.raw -F raw "$IMAGE"
create -b base.raw "$IMAGE"
create -b base.qcow2 "$IMAGE"
create -F raw "$IMAGE" 1M
create -b '' "$IMAGE" 1M
create -b missing.raw -F raw "$IMAGE"
create -b missing.raw -F raw "$IMAGE" 1M
create -u -b missing.raw -F raw "$IMAGE"
create -u -b missing.raw -F raw "$IMAGE" 1M
create -u -b missing.raw "$IMAGE" 1M
create -b base.raw -F nonsense "$IMAGE"
create -b base.raw -F qcow2 "$IMAGE"
create -b "$IMAGE" -F qcow2 "$IMAGE"
create -b base.raw -F raw -o backing_file=base.qcow2 "$IMAGE"
create -b base.raw -F raw -b base.qcow2 -F qcow2 "$IMAGE"

say "options that are none"
create -o unknown=on "$IMAGE" 4M
create -o cluster_size "$IMAGE" 4M
create -o size "$IMAGE"
create -o '' "$IMAGE" 4M
create -o , "$IMAGE" 4M
create -o ,,size=1M "$IMAGE"
create -o 'cluster_size=4k,' "$IMAGE" 4M
create -o cluster_size=4k,cluster_size=8k "$IMAGE" 4M
create -o cluster_size=4k -o cluster_size=8k "$IMAGE" 4M
create -o cluster_size=4k -o refcount_bits=8 "$IMAGE" 4M
create -q "$IMAGE" 4M

say "formats"
img create -f nonsense "$IMAGE" 4M
img create -f '' "$IMAGE" 4M
img create -f qcow2 missing/directory/image 4M
img create "$IMAGE" 4M
img create -f raw -o cluster_size=64k "$IMAGE" 4M
img create -f qcow -o compat=1.1 "$IMAGE" 4M
img create -f file "$IMAGE" 4M
img create -f blkdebug "$IMAGE" 4M
