#!/usr/bin/env bash
# title: a data file through everything
# breaks: data goes into the wrong file
# groups: datafile resize convert rebase amend
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for raw in off on; do
    for mode in off metadata falloc full; do
        say "raw $raw, preallocation $mode"
        rm -f "$IMAGE" data
        img create -f qcow2 -o data_file=data,data_file_raw=$raw,preallocation=$mode "$IMAGE" 1000k
        layout "$IMAGE"
        length_of data
        io_commands "$IMAGE" 'write -P 1 0 100k' 'write -P 2 900k 100k' 'write -z 64k 64k' 'write -z -u 0 64k' 'discard 896k 64k' 'write -c 0 64k'
        img map --output=json "$IMAGE"
        img map -f raw --output=json data
        img check "$IMAGE"
        img resize "$IMAGE" 2M
        img resize --preallocation=metadata "$IMAGE" 3M
        length_of data
        img map --output=json "$IMAGE"
        img resize --shrink "$IMAGE" 500k
        length_of data
        layout "$IMAGE"
        img check "$IMAGE"
        img snapshot -c s "$IMAGE"
        img measure -O qcow2 "$IMAGE"
        img convert -O raw "$IMAGE" out
        img compare -f raw -F qcow2 out "$IMAGE"
        [ $raw = on ] && img compare -f raw -F raw out data
        img convert -O qcow2 -o data_file=data2 "$IMAGE" out
        img compare out "$IMAGE"
        rm -f out data2
    done
done
img amend -o data_file=other "$IMAGE"
img info "$IMAGE" | grep -i data
img amend -o data_file=data "$IMAGE"
img amend -o data_file_raw=off "$IMAGE"
img info "$IMAGE" | grep -i data
img amend -o data_file_raw=on "$IMAGE"
img amend -o compat=0.10 "$IMAGE"
rm data
img info "$IMAGE" | grep -i data
img check "$IMAGE"
img map "$IMAGE"
io_commands "$IMAGE" 'read 0 512'
