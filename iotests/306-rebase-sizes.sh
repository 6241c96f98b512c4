#!/usr/bin/env bash
# title: rebase between bases of different sizes
# breaks: a guest sees other data after its image got another base
# groups: rebase backing compress
# formats: qcow qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

for sizes in '512k 512k' '256k 512k' '512k 256k' '512k 768k' '768k 512k' '130k 200k' '200k 130k'; do
    read -r old new <<<"$sizes"
    for how in '' -u -c; do
        say "top 512k, from $old to $new $how"
        rm -f old new top
        make old "$old"
        make new "$new"
        make top 512k -b old -F "$IMAGE_FORMAT"
        quiet io -f "$IMAGE_FORMAT" -c "write -P 1 0 $old" old
        quiet io -f "$IMAGE_FORMAT" -c "write -P 1 0 64k" -c 'write -P 2 64k 64k' new
        quiet io -f "$IMAGE_FORMAT" -c 'write -P 3 96k 64k' top
        quiet img convert -f "$IMAGE_FORMAT" -O raw top before
        # shellcheck disable=SC2086
        img rebase -f "$IMAGE_FORMAT" $how -b new -F "$IMAGE_FORMAT" top
        img compare -f raw -F "$IMAGE_FORMAT" before top
        img map -f "$IMAGE_FORMAT" --output=json top
        img info -f "$IMAGE_FORMAT" top | grep -e backing -e virtual
    done
done

say "to none, and back"
img rebase -f "$IMAGE_FORMAT" -b '' top
img compare -f raw -F "$IMAGE_FORMAT" before top
img info -f "$IMAGE_FORMAT" top | grep backing
img rebase -f "$IMAGE_FORMAT" -b old -F "$IMAGE_FORMAT" top
img compare -f raw -F "$IMAGE_FORMAT" before top

say "wrong ways"
img rebase -f "$IMAGE_FORMAT" top
img rebase -f "$IMAGE_FORMAT" -b missing -F "$IMAGE_FORMAT" top
img rebase -f "$IMAGE_FORMAT" -b new -F nonsense top
img rebase -f "$IMAGE_FORMAT" -b new top
img rebase -f "$IMAGE_FORMAT" -u -b missing -F "$IMAGE_FORMAT" top
img rebase -f "$IMAGE_FORMAT" -b new -F "$IMAGE_FORMAT" top
img rebase -f "$IMAGE_FORMAT" -u -b '' top
img rebase -f "$IMAGE_FORMAT" -u -c -b new -F "$IMAGE_FORMAT" top
img rebase -f raw -b new -F "$IMAGE_FORMAT" before
img rebase -f "$IMAGE_FORMAT" -b top -F "$IMAGE_FORMAT" top
img rebase -f "$IMAGE_FORMAT" -t nonsense -b new top
img rebase -f "$IMAGE_FORMAT" -T nonsense -b new top
