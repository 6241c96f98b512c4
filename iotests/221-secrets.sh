#!/usr/bin/env bash
# title: secrets
# breaks: a secret is read from another place, decoded in another way, or told to someone
# groups: encrypt options
# formats: qcow2
# requires: nothing
# origin: ours

. "$SUITE_COMMON"

quiet img create -f qcow2 --object secret,id=sec0,data=letmein -o encrypt.format=luks,encrypt.key-secret=sec0,encrypt.iter-time=10 "$IMAGE" 64k
image=driver=qcow2,file.filename=$IMAGE,encrypt.key-secret=sec0

try() {
    io "$@" --image-opts -c 'read -P 0 0 512' "$image"
}

say "in the clear: as data, in a file, as JSON"
try --object secret,id=sec0,data=letmein
try --object 'secret,id=sec0,data=letmein,format=raw'
printf 'letmein' >key
try --object secret,id=sec0,file=key
printf 'letmein\n' >newline
try --object secret,id=sec0,file=newline
try --object '{"qom-type": "secret", "id": "sec0", "data": "letmein"}'
: >empty
try --object secret,id=sec0,file=empty
try --object secret,id=sec0,file=missing

say "base64"
try --object secret,id=sec0,data=bGV0bWVpbg==,format=base64
printf 'bGV0bWVpbg==' >key64
try --object secret,id=sec0,file=key64,format=base64
try --object secret,id=sec0,data=letmein,format=base64
try --object secret,id=sec0,data=bGV0bWVpbg,format=base64
try --object secret,id=sec0,data=bGV0bWVpbg==,format=hex

say "under another secret: AES-256-CBC, key and IV of 00 to 1f and 00 to 0f"
master=(--object secret,id=master,data=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,format=base64)
iv=AAECAwQFBgcICQoLDA0ODw==
try "${master[@]}" --object "secret,id=sec0,data=letmein,keyid=master,iv=$iv"
try "${master[@]}" --object "secret,id=sec0,data=AAAAAAAAAAAAAAAAAAAAAA==,keyid=master,iv=$iv,format=base64"
try "${master[@]}" --object "secret,id=sec0,data=AAAAAAAAAAAAAAAAAAAAAA==,keyid=missing,iv=$iv,format=base64"
try "${master[@]}" --object "secret,id=sec0,data=AAAAAAAAAAAAAAAAAAAAAA==,keyid=master,format=base64"
try "${master[@]}" --object "secret,id=sec0,data=AAAAAAAAAAAAAAAAAAAAAA==,keyid=master,iv=AAEC,format=base64"
try --object secret,id=master,data=short --object "secret,id=sec0,data=AAAAAAAAAAAAAAAAAAAAAA==,keyid=master,iv=$iv,format=base64"

say "objects that are none"
try --object secret,id=sec0
try --object secret,id=sec0,data=a,file=key
try --object secret,data=letmein
try --object secret,id=sec0,data=letmein,nonsense=1
try --object nonsense,id=sec0
try --object secret
try --object ''
try --object secret,id=sec0,data=letmein --object secret,id=sec0,data=letmein
try --object 'secret,id=sec 0,data=letmein'
try --object '{"qom-type": "secret"'
try --object
