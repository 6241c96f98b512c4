//! Images of each kind, and what is done to them.

/// Images of one kind.
pub struct Kind {
    pub name: &'static str,
    pub format: &'static str,
    pub objects: &'static [&'static str],
    /// Lines that make the files, of the real tools but where it says `ours`.
    pub set_up: &'static [&'static str],
    /// The node's children and their file names.
    pub files: &'static [(&'static str, &'static str)],
    /// More options, with a comma before each.
    pub options: &'static str,
    /// The child whose requests fail.
    pub faulty: &'static str,
    /// `check` knows the format.
    pub checked: bool,
    /// It may be damaged before and behind the operation, in a way that a repair mends.
    pub repaired: bool,
    /// All combinations of error numbers and of once or always are played, even where time is short.
    pub every_error: bool,
    /// Snapshots that no operation may change.
    pub snapshots: &'static [&'static str],
    /// A line that the real tools have to carry out afterwards.
    pub use_again: &'static str,
    pub operations: &'static [&'static [Operation]],
}

/// Something that is done to an image.
#[derive(Clone, Copy)]
pub struct Operation {
    pub name: &'static str,
    /// `img …` or `io …`, with `@` for the words that open the image.
    pub line: &'static str,
    /// What it writes is another thing each time.
    pub random: bool,
}

const fn operation(name: &'static str, line: &'static str) -> Operation {
    Operation {
        name,
        line,
        random: false,
    }
}

const fn random(name: &'static str, line: &'static str) -> Operation {
    Operation {
        name,
        line,
        random: true,
    }
}

const WRITES: &[Operation] = &[
    operation(
        "new clusters",
        "io -c 'write -P 2 1M 64k' -c 'read -P 2 1M 64k' @",
    ),
    operation(
        "overwriting",
        "io -c 'write -P 2 1000 9000' -c 'write -P 3 120k 20k' @",
    ),
];

const ZEROS: &[Operation] = &[
    operation(
        "zeros",
        "io -c 'write -z 8k 64k' -c 'write -zu 100k 8k' -c 'write -z 1000 100' @",
    ),
    operation(
        "discards",
        "io -c 'discard 8k 64k' -c 'discard 0 4k' -c 'write -P 7 1200k 8k' @",
    ),
];

const COMPRESSED: &[Operation] = &[operation(
    "compressed clusters",
    "io -c 'write -c -P 2 1M 4k' -c 'write -c -P 3 1028k 4k' -c 'write -P 2 1M 512' @",
)];

const RESIZE: &[Operation] = &[
    operation("growing", "img resize -q @ 5M"),
    operation(
        "growing with preallocation",
        "img resize -q --preallocation=metadata @ 3M",
    ),
    operation("shrinking", "img resize -q --shrink @ 64k"),
];

const GROWING: &[Operation] = &[operation("growing", "img resize -q @ 5M")];

const GROWTH: &[Operation] = &[operation("many clusters", "io -c 'write -q -P 2 0 2M' @")];

const SUBCLUSTERS: &[Operation] = &[
    operation(
        "subclusters",
        "io -c 'write -P 2 1M 700' -c 'write -P 2 250k 1k' -c 'write -z 1k 2k' -c 'discard 32k 1k' @",
    ),
    operation(
        "compressed clusters",
        "io -c 'write -c -P 2 1M 16k' -c 'write -c -P 3 1040k 16k' -c 'write -P 2 1M 512' @",
    ),
];

const ZERO_WRITES: &[Operation] = &[operation(
    "zeros",
    "io -c 'write -z 8k 64k' -c 'write -z 1000 100' @",
)];

const SNAPSHOTS: &[Operation] = &[random("taking a snapshot", "img snapshot -q -c two @")];

const SNAPSHOT_USE: &[Operation] = &[
    operation("going back to a snapshot", "img snapshot -q -a one @"),
    operation("deleting a snapshot", "img snapshot -q -d gone @"),
];

const AMEND: &[Operation] = &[
    operation("amend to version 2", "img amend -o compat=0.10 @"),
    operation(
        "amend of refcount widths",
        "img amend -o refcount_bits=64 @",
    ),
    operation(
        "amend to lazy refcounts",
        "img amend -o lazy_refcounts=on @",
    ),
];

const WIDTHS: &[Operation] = &[operation(
    "amend of refcount widths",
    "img amend -o refcount_bits=64 @",
)];

const FROM_LAZY: &[Operation] = &[
    operation(
        "amend from lazy refcounts",
        "img amend -o lazy_refcounts=off @",
    ),
    operation("amend to version 2", "img amend -o compat=0.10 @"),
];

const TO_VERSION_3: &[Operation] = &[operation("amend to version 3", "img amend -o compat=1.1 @")];

const REPAIR: &[Operation] = &[
    operation("repair of leaks", "img check -q -r leaks @"),
    operation("repair of everything", "img check -q -r all @"),
];

const BITMAPS: &[Operation] = &[
    operation("a new bitmap", "img bitmap --add @ new"),
    operation("a bitmap less", "img bitmap --remove @ b0"),
    operation("a cleared bitmap", "img bitmap --clear @ b0"),
    operation("merged bitmaps", "img bitmap --merge b1 @ b0"),
    operation("a bitmap that is off", "img bitmap --disable @ b0"),
];

const NEW_BITMAP: &[Operation] = &[operation("a first bitmap", "img bitmap --add @ new")];

const COMMIT: &[Operation] = &[operation("commit", "img commit -q @")];

const LAYERS: &[Operation] = &[
    operation("commit", "img commit -q @"),
    operation("rebase", "img rebase -q -b other -F raw @"),
    operation("rebase on nothing", "img rebase -q -b '' @"),
    operation("unsafe rebase", "img rebase -q -u -b other -F raw @"),
    operation("copy on read", "io -C -c 'read 0 64k' -c 'read 1M 4k' @"),
];

const KEY_SLOTS: &[Operation] = &[
    random(
        "a new key",
        "img amend -q @ -o state=active,new-secret=t,keyslot=3,iter-time=1",
    ),
    random("a key less", "img amend -q @ -o state=inactive,keyslot=1"),
];

const ENCRYPTED_KEY_SLOTS: &[Operation] = &[
    random(
        "a new key",
        "img amend -q @ -o encrypt.state=active,encrypt.new-secret=t,encrypt.keyslot=3,encrypt.iter-time=1",
    ),
    random(
        "a key less",
        "img amend -q @ -o encrypt.state=inactive,encrypt.keyslot=1",
    ),
];

const FILE: &[(&str, &str)] = &[("file", "t")];
const AGAIN: &str = "io -c 'write -q -P 9 0 64k' -c 'read -q -P 9 0 64k' @";
const SECRETS: &[&str] = &["secret,id=s,data=one", "secret,id=t,data=two"];
const ENCRYPT: &str = ",encrypt.key-secret=s";

const PLAIN: Kind = Kind {
    name: "",
    format: "qcow2",
    objects: &[],
    set_up: &[],
    files: FILE,
    options: "",
    faulty: "file",
    checked: true,
    repaired: false,
    every_error: false,
    snapshots: &[],
    use_again: AGAIN,
    operations: &[],
};

const FILLED: &str =
    "io -c 'write -q -P 1 0 256k' -c 'write -q -c -P 1 512k 4k' -c 'write -q -c -P 1 516k 4k' t";

pub const KINDS: &[Kind] = &[
    Kind {
        name: "qcow2",
        every_error: true,
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            FILLED,
            "img create -q -f raw b 2M",
        ],
        operations: &[
            WRITES, ZEROS, COMPRESSED, RESIZE, SNAPSHOTS, AMEND, NEW_BITMAP,
        ],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with tiny clusters",
        set_up: &["img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 t 3M"],
        operations: &[GROWTH, GROWING],
        ..PLAIN
    },
    Kind {
        name: "qcow2 version 2",
        set_up: &[
            "img create -q -f qcow2 -o compat=0.10,cluster_size=4k t 2M",
            FILLED,
        ],
        operations: &[WRITES, ZEROS, COMPRESSED, SNAPSHOTS, TO_VERSION_3],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with lazy refcounts",
        set_up: &[
            "img create -q -f qcow2 -o lazy_refcounts=on,cluster_size=4k t 2M",
            FILLED,
        ],
        repaired: true,
        operations: &[WRITES, ZEROS, RESIZE, SNAPSHOTS, FROM_LAZY],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with subclusters",
        every_error: true,
        set_up: &[
            "img create -q -f qcow2 -o extended_l2=on,cluster_size=16k t 2M",
            "io -c 'write -q -P 1 0 250k' -c 'write -q -c -P 1 512k 16k' t",
        ],
        operations: &[WRITES, ZEROS, SUBCLUSTERS, RESIZE, SNAPSHOTS],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with zstd",
        set_up: &[
            "img create -q -f qcow2 -o compression_type=zstd,cluster_size=4k t 2M",
            FILLED,
        ],
        operations: &[COMPRESSED],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with a data file",
        every_error: true,
        set_up: DATA_FILE_SET_UP,
        files: DATA_FILES,
        operations: &[WRITES, ZEROS, RESIZE],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with a data file that fails",
        set_up: DATA_FILE_SET_UP,
        files: DATA_FILES,
        faulty: "data-file",
        operations: &[WRITES, ZEROS, RESIZE],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with a raw data file",
        set_up: &[
            "img create -q -f qcow2 -o data_file=d,data_file_raw=on,cluster_size=4k t 2M",
            "io -c 'write -q -P 1 0 256k' t",
        ],
        files: DATA_FILES,
        operations: &[WRITES, ZEROS, RESIZE],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with bitmaps",
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            "img bitmap --add -g 4k t b0",
            "img bitmap --add -g 64k t b1",
            FILLED,
        ],
        operations: &[WRITES, BITMAPS, GROWING, SNAPSHOTS],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with snapshots",
        every_error: true,
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            FILLED,
            "img snapshot -q -c one t",
            "io -c 'write -q -P 5 8k 64k' -c 'write -q -b -P 6 0 8k' t",
            "img snapshot -q -c gone t",
            "io -c 'write -q -P 7 128k 64k' t",
        ],
        snapshots: &["one"],
        operations: &[
            WRITES,
            ZEROS,
            COMPRESSED,
            SNAPSHOTS,
            SNAPSHOT_USE,
            GROWING,
            WIDTHS,
        ],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with LUKS",
        objects: SECRETS,
        set_up: &[
            "ours img create -q -f qcow2 --object secret,id=s,data=one -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1,encrypt.cipher-alg=aes-128,cluster_size=4k t 2M",
            "ours img amend --object secret,id=s,data=one --object secret,id=t,data=two --image-opts driver=qcow2,file.filename=t,encrypt.key-secret=s -o encrypt.state=active,encrypt.new-secret=t,encrypt.keyslot=1,encrypt.iter-time=1",
            "io --object secret,id=s,data=one -c 'write -q -P 1 0 256k' --image-opts driver=qcow2,file.filename=t,encrypt.key-secret=s",
        ],
        options: ENCRYPT,
        operations: &[WRITES, ZEROS, GROWING, SNAPSHOTS, ENCRYPTED_KEY_SLOTS],
        ..PLAIN
    },
    Kind {
        name: "qcow2 with AES",
        objects: SECRETS,
        set_up: &[
            "img create -q -f qcow2 --object secret,id=s,data=one -o encrypt.format=aes,encrypt.key-secret=s,cluster_size=4k t 2M",
            "io --object secret,id=s,data=one -c 'write -q -P 1 0 256k' --image-opts driver=qcow2,file.filename=t,encrypt.key-secret=s",
        ],
        options: ENCRYPT,
        operations: &[WRITES, ZEROS],
        ..PLAIN
    },
    Kind {
        name: "qcow2 on a raw file",
        set_up: OVERLAY_SET_UP,
        operations: &[WRITES, ZEROS, LAYERS],
        ..PLAIN
    },
    Kind {
        name: "qcow2 on a raw file that fails",
        set_up: OVERLAY_SET_UP,
        files: &[("file", "t"), ("backing.file", "b")],
        options: ",backing.driver=raw",
        faulty: "backing.file",
        operations: &[WRITES, COMMIT],
        ..PLAIN
    },
    Kind {
        name: "qcow2 on a qcow2 that fails",
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k b 2M",
            "io -c 'write -q -P 1 0 256k' b",
            "img create -q -f qcow2 -b b -F qcow2 -o cluster_size=4k t",
            "io -c 'write -q -P 8 64k 128k' -c 'write -q -P 8 1M 64k' t",
        ],
        files: &[("file", "t"), ("backing.file", "b")],
        options: ",backing.driver=qcow2",
        faulty: "backing.file",
        use_again: "img check -q -r leaks -f qcow2 b",
        operations: &[WRITES, COMMIT],
        ..PLAIN
    },
    Kind {
        name: "a leaking qcow2",
        every_error: true,
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            FILLED,
            "sh printf '\\0\\2' | dd status=none of=t bs=1 conv=notrunc seek=$((8192 + 2 * 20)); truncate -s 1M t; printf '\\0\\1' | dd status=none of=t bs=1 conv=notrunc seek=$((8192 + 2 * 200))",
        ],
        repaired: true,
        operations: &[REPAIR],
        ..PLAIN
    },
    Kind {
        name: "a corrupt qcow2",
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            FILLED,
            "sh printf '\\0\\0\\0\\0\\0\\7' | dd status=none of=t bs=1 conv=notrunc seek=$((8192 + 2 * 20))",
        ],
        repaired: true,
        operations: &[REPAIR],
        ..PLAIN
    },
    Kind {
        name: "qcow2 without counts",
        set_up: &[
            "img create -q -f qcow2 -o cluster_size=4k t 2M",
            FILLED,
            "sh printf '\\0\\0\\0\\0\\0\\0\\0\\0' | dd status=none of=t bs=1 conv=notrunc seek=4096",
        ],
        repaired: true,
        operations: &[REPAIR],
        ..PLAIN
    },
    Kind {
        name: "qcow",
        every_error: true,
        format: "qcow",
        set_up: &["img create -q -f qcow t 2M", FILLED],
        checked: false,
        operations: &[WRITES, ZERO_WRITES, COMPRESSED],
        ..PLAIN
    },
    Kind {
        name: "qcow on a raw file",
        every_error: true,
        format: "qcow",
        set_up: &[
            "img create -q -f raw b 2M",
            "io -f raw -c 'write -q -P 4 0 512k' b",
            "img create -q -f qcow -b b -F raw t",
            "io -c 'write -q -P 1 0 256k' -c 'write -q -c -P 1 512k 512' t",
        ],
        checked: false,
        operations: &[WRITES, ZERO_WRITES, COMMIT],
        ..PLAIN
    },
    Kind {
        name: "qcow with AES",
        format: "qcow",
        objects: SECRETS,
        set_up: &[
            "img create -q -f qcow --object secret,id=s,data=one -o encrypt.format=aes,encrypt.key-secret=s t 2M",
            "io --object secret,id=s,data=one -c 'write -q -P 1 0 256k' --image-opts driver=qcow,file.filename=t,encrypt.key-secret=s",
        ],
        options: ENCRYPT,
        checked: false,
        operations: &[WRITES, ZERO_WRITES],
        ..PLAIN
    },
    Kind {
        name: "luks",
        every_error: true,
        format: "luks",
        objects: SECRETS,
        set_up: &[
            "ours img create -q -f luks --object secret,id=s,data=one -o key-secret=s,iter-time=1,cipher-alg=aes-128 t 2M",
            "ours img amend --object secret,id=s,data=one --object secret,id=t,data=two --image-opts driver=luks,file.filename=t,key-secret=s -o state=active,new-secret=t,keyslot=1,iter-time=1",
            "io --object secret,id=s,data=one -c 'write -q -P 1 0 256k' --image-opts driver=luks,file.filename=t,key-secret=s",
        ],
        options: ",key-secret=s",
        checked: false,
        operations: &[WRITES, KEY_SLOTS],
        ..PLAIN
    },
    Kind {
        name: "raw",
        every_error: true,
        format: "raw",
        set_up: &[
            "img create -q -f raw t 2M",
            "io -f raw -c 'write -q -P 1 0 256k' t",
        ],
        checked: false,
        operations: &[WRITES, ZEROS],
        ..PLAIN
    },
];

const DATA_FILE_SET_UP: &[&str] = &[
    "img create -q -f qcow2 -o data_file=d,cluster_size=4k t 2M",
    "io -c 'write -q -P 1 0 256k' t",
];
const DATA_FILES: &[(&str, &str)] = &[("file", "t"), ("data-file", "d")];
const OVERLAY_SET_UP: &[&str] = &[
    "img create -q -f raw b 2M",
    "io -f raw -c 'write -q -P 4 0 512k' b",
    "img create -q -f raw other 2M",
    "img create -q -f qcow2 -b b -F raw -o cluster_size=4k t",
    "io -c 'write -q -P 8 64k 128k' -c 'write -q -P 8 1M 64k' t",
];
