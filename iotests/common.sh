# Sourced by every iotest. The runner sets:
#   QEMU_IMG QEMU_IO   the subject's tools
#   COWPROOF           the judge, the same for every subject
#   IMAGE_FORMAT       the format of this run
#   TEST_DIR           this run's private directory, also the working directory
#   STREAMS SKIP_NOTE  outside of it, for the functions below
#
# What a tool prints goes into the test's output, one stream after the other, so that the golden
# does not depend on how a tool buffers them: stdout as it is, stderr with a prefix, then the exit
# code unless it is 0. It is also in $status; the functions themselves succeed.

set -u
umask 022

IMAGE=t.$IMAGE_FORMAT

# A heading.
say() {
    printf '\n== %s ==\n' "$*"
}

# Ends the test here: this machine can't run it.
skip() {
    printf '%s\n' "$*" >"$SKIP_NOTE"
    exit 0
}

# img ARGUMENT…, io ARGUMENT…: a tool, shown with its command line.
img() {
    _show qemu-img "$@"
    _run "$QEMU_IMG" "$@"
    _print
}

io() {
    _show qemu-io "$@"
    _run "$QEMU_IO" "$@"
    _print
}

# What made the IVs of an image, judged by this program whoever wrote it: judge ARGUMENT… (cowproof iv's)
judge() {
    _show cowproof iv "$@"
    _run "$COWPROOF" iv "$@"
    _print
}

# The same for steps that are not what the test is about: seen only when they fail.
quiet() {
    case $1 in
        img) _run "$QEMU_IMG" "${@:2}" ;;
        io) _run "$QEMU_IO" "${@:2}" ;;
        *) echo "quiet: neither img nor io: $1"; exit 3 ;;
    esac
    if [ "$status" -ne 0 ]; then
        _show "qemu-$1" "${@:2}"
        _print
    fi
}

# io_commands FILE COMMAND…: commands on an image of this run's format.
io_commands() {
    local file=$1 command arguments=()
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    io -f "$IMAGE_FORMAT" "${arguments[@]}" "$file"
}

# An image of this run's format, made without a word: make FILE SIZE [CREATE-ARGUMENT…]. For luks the password is there
# and costs little.
make() {
    local file=$1 size=$2
    shift 2
    if [ "$IMAGE_FORMAT" = luks ]; then
        quiet img create --object secret,id=s,data=geheim -f luks -o key-secret=s,iter-time=10 "$@" "$file" "$size"
    else
        quiet img create -f "$IMAGE_FORMAT" "$@" "$file" "$size"
    fi
}

# What opens an image of this run's format, into the array `at`: image_at FILE
image_at() {
    if [ "$IMAGE_FORMAT" = luks ]; then
        at=(--object secret,id=s,data=geheim --image-opts "driver=luks,key-secret=s,file.filename=$1")
    else
        at=(-f "$IMAGE_FORMAT" "$1")
    fi
}

# Commands on an image of this run's format, luks included: on FILE COMMAND…
on() {
    local file=$1 command arguments=() at
    shift
    for command in "$@"; do
        arguments+=(-c "$command")
    done
    image_at "$file"
    io "${arguments[@]}" "${at[@]}"
}

# Another process that opens an image with qemu-io and keeps it until let_go: hold ARGUMENT…
hold() {
    local tries
    : >held
    mkfifo in
    "$QEMU_IO" "$@" <in >held 2>&1 &
    holder=$!
    exec 9>in
    printf 'length\n' >&9
    for ((tries = 0; tries < 1000; tries++)); do
        grep -q MiB held && break
        sleep 0.01
    done
}

let_go() {
    exec 9>&-
    wait "$holder"
    rm in
}

# Length of a file.
length_of() {
    printf '%s: %d bytes\n' "$1" "$(stat -c %s "$1")"
}

# The big-endian fields of a qcow2 header that say where what lies.
layout() {
    local file=$1
    printf '%s: size %d, l1 %d at %#x, refcount table %d at %#x, snapshots %d at %#x, features %x %x %x, %d bytes\n' \
        "$file" "$(number "$file" 24 8)" "$(number "$file" 36 4)" "$(number "$file" 40 8)" "$(number "$file" 56 4)" \
        "$(number "$file" 48 8)" "$(number "$file" 60 4)" "$(number "$file" 64 8)" "$(number "$file" 72 8)" \
        "$(number "$file" 80 8)" "$(number "$file" 88 8)" "$(stat -c %s "$file")"
}

# Which layer of a chain has what, a line for each stretch: host offsets are left out and what lies side by side
# is one, since a job may copy in any order. layers FILE
layers() {
    _show qemu-img map --output=json "$1"
    "$QEMU_IMG" map -f "$IMAGE_FORMAT" --output=json "$1" 2>&1 | awk '
        function tell() { if (seen) printf "%d..%d %s\n", from, to, kind }
        match($0, /"start": [0-9]+/) {
            start = substr($0, RSTART + 9, RLENGTH - 9) + 0
            match($0, /"length": [0-9]+/)
            length_ = substr($0, RSTART + 10, RLENGTH - 10) + 0
            match($0, /"depth": .*"compressed": [a-z]+/)
            now = substr($0, RSTART, RLENGTH)
            gsub(/"/, "", now)
            if (seen && now == kind && start == to) { to += length_; next }
            tell()
            seen = 1; from = start; to = start + length_; kind = now
            next
        }
        { print }
        END { tell() }'
}

# Bytes of a file in hexadecimal: peek FILE OFFSET COUNT
peek() {
    od -A n -v -t x1 -w32 -j "$2" -N "$3" "$1"
}

# Bytes into a file, which does not change its length unless they lie behind its end:
# poke FILE OFFSET '\x51\x46'
poke() {
    printf '%b' "$3" | dd of="$1" bs=1 seek="$(($2))" conv=notrunc status=none
}

# Big-endian numbers: poke32 FILE OFFSET NUMBER; NUMBER may be anything that bash can compute with.
poke8() {
    poke "$1" "$2" "$(_bytes 1 "$3")"
}

poke16() {
    poke "$1" "$2" "$(_bytes 2 "$3")"
}

poke32() {
    poke "$1" "$2" "$(_bytes 4 "$3")"
}

poke64() {
    poke "$1" "$2" "$(_bytes 8 "$3")"
}

# A big-endian number out of a file, in decimal: number FILE OFFSET BYTES
number() {
    local digits
    digits=$(od -A n -v -t x1 -j "$2" -N "$3" "$1")
    echo $((16#${digits//[[:space:]]/}))
}

# So many bytes that no codec makes shorter, the same every time: noise COUNT
noise() {
    local state=1 bytes='' count
    for ((count = 0; count < $1; count++)); do
        state=$(((state * 1103515245 + 12345) & 0x7fffffff))
        printf -v bytes '%s\\x%02x' "$bytes" $((state >> 16 & 255))
        if ((count % 256 == 255)); then
            printf '%b' "$bytes"
            bytes=''
        fi
    done
    printf '%b' "$bytes"
}

# Says whether two files hold the same bytes.
same_bytes() {
    if cmp -s "$1" "$2"; then
        echo "$1 and $2: same bytes"
    else
        echo "$1 and $2: bytes differ"
    fi
}

_bytes() {
    local count=$1 value=$2 shift
    for ((shift = (count - 1) * 8; shift >= 0; shift -= 8)); do
        printf '\\x%02x' $(((value >> shift) & 255))
    done
}

_show() {
    local word line='$'
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
            line+=" $word"
        else
            line+=" '$word'"
        fi
    done
    printf '%s\n' "$line"
}

_run() {
    # The shell's own word on a tool that a signal ended has a process id in it.
    {
        "$@" >"$STREAMS/stdout" 2>"$STREAMS/stderr"
        status=$?
    } 2>/dev/null
}

_print() {
    local text line
    IFS= read -r -d '' text <"$STREAMS/stdout"
    printf '%s' "$text"
    if [[ -n $text && $text != *$'\n' ]]; then
        printf '\n\\ no newline at the end of stdout\n'
    fi
    while IFS= read -r line || [ -n "$line" ]; do
        printf 'stderr: %s\n' "$line"
    done <"$STREAMS/stderr"
    if [ "$status" -ne 0 ]; then
        printf 'exit code %d\n' "$status"
    fi
}

# The entries of the first L2 table, extended ones, that say anything, as index, place and bitmap:
# extended_entries FILE [COUNT]
extended_entries() {
    local file=$1 table index place bits
    table=$(($(number "$file" "$(number "$file" 40 8)" 8) & 0x00fffffffffffe00))
    for ((index = 0; index < ${2:-8}; index++)); do
        place=$(peek "$file" $((table + index * 16)) 8)
        bits=$(peek "$file" $((table + index * 16 + 8)) 8)
        if [ "$place$bits" != " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00" ]; then
            printf "%d:%s :%s\n" "$index" "$place" "$bits"
        fi
    done
}
