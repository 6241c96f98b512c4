//! The options of each format, as `create`, `convert`, `amend` and their help know them.

/// What an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// `on` or `off`.
    Switch,
    /// Bytes, with an optional suffix.
    Size,
    /// A plain number.
    Number,
}

impl ValueKind {
    const fn shown(self) -> &'static str {
        match self {
            Self::Text => "<str>",
            Self::Switch => "<bool (on/off)>",
            Self::Size => "<size>",
            Self::Number => "<num>",
        }
    }
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: ValueKind,
    /// What help says.
    pub help: &'static str,
    /// The value when it is not given and shown all the same.
    pub default: Option<&'static str>,
}

const fn text(name: &'static str, help: &'static str) -> OptionSpec {
    spec(name, ValueKind::Text, help)
}

const fn spec(name: &'static str, kind: ValueKind, help: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        help,
        default: None,
    }
}

const fn defaulted(mut option: OptionSpec, default: &'static str) -> OptionSpec {
    option.default = Some(default);
    option
}

const SIZE: OptionSpec = spec("size", ValueKind::Size, "Virtual disk size");
const BACKING_FILE: OptionSpec = text("backing_file", "File name of a base image");
const ENCRYPTION: OptionSpec = spec(
    "encryption",
    ValueKind::Switch,
    "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)",
);
const PREALLOCATION: OptionSpec = text(
    "preallocation",
    "Preallocation mode (allowed values: off, falloc, full)",
);
const COMPAT: OptionSpec = text("compat", "Compatibility level (v2 [0.10] or v3 [1.1])");
const BACKING_FORMAT: OptionSpec = text("backing_fmt", "Image format of the base image");
const DATA_FILE: OptionSpec = text("data_file", "File name of an external data file");
const DATA_FILE_RAW: OptionSpec = spec(
    "data_file_raw",
    ValueKind::Switch,
    "The external data file must stay valid as a raw image",
);
const LAZY_REFCOUNTS: OptionSpec = spec(
    "lazy_refcounts",
    ValueKind::Switch,
    "Postpone refcount updates",
);
const REFCOUNT_BITS: OptionSpec = spec(
    "refcount_bits",
    ValueKind::Number,
    "Width of a reference count entry in bits",
);

/// What host files take, whatever lies in them.
const FILE: [OptionSpec; 4] = [
    SIZE,
    spec(
        "nocow",
        ValueKind::Switch,
        "Turn off copy-on-write (valid only on btrfs)",
    ),
    PREALLOCATION,
    spec(
        "extent_size_hint",
        ValueKind::Size,
        "Extent size hint for the image file, 0 to disable",
    ),
];

const HOST_DEVICE: [OptionSpec; 2] = [
    SIZE,
    text("preallocation", "Preallocation mode (allowed values: off)"),
];

const RAW: [OptionSpec; 1] = [SIZE];

const QCOW1: [OptionSpec; 6] = [
    SIZE,
    BACKING_FILE,
    text("backing_fmt", "Format of the backing image"),
    ENCRYPTION,
    text("encrypt.format", "Encrypt the image, format choices: 'aes'"),
    text(
        "encrypt.key-secret",
        "ID of the secret that provides the AES encryption key",
    ),
];

const QCOW2: [OptionSpec; 21] = [
    ENCRYPTION,
    text(
        "encrypt.format",
        "Encrypt the image, format choices: 'aes', 'luks'",
    ),
    text(
        "encrypt.key-secret",
        "ID of secret providing qcow AES key or LUKS passphrase",
    ),
    text("encrypt.cipher-alg", "Name of encryption cipher algorithm"),
    text("encrypt.cipher-mode", "Name of encryption cipher mode"),
    text("encrypt.ivgen-alg", "Name of IV generator algorithm"),
    text(
        "encrypt.ivgen-hash-alg",
        "Name of IV generator hash algorithm",
    ),
    text("encrypt.hash-alg", "Name of encryption hash algorithm"),
    spec(
        "encrypt.iter-time",
        ValueKind::Number,
        "Time to spend in PBKDF in milliseconds",
    ),
    defaulted(
        spec("cluster_size", ValueKind::Size, "qcow2 cluster size"),
        "65536",
    ),
    defaulted(
        spec("extended_l2", ValueKind::Switch, "Extended L2 tables"),
        "off",
    ),
    text(
        "preallocation",
        "Preallocation mode (allowed values: off, metadata, falloc, full)",
    ),
    defaulted(
        text(
            "compression_type",
            "Compression method used for image cluster compression",
        ),
        "zlib",
    ),
    SIZE,
    COMPAT,
    BACKING_FILE,
    BACKING_FORMAT,
    DATA_FILE,
    DATA_FILE_RAW,
    defaulted(LAZY_REFCOUNTS, "off"),
    defaulted(REFCOUNT_BITS, "16"),
];

const LUKS: [OptionSpec; 9] = [
    SIZE,
    text(
        "key-secret",
        "ID of the secret that provides the keyslot passphrase",
    ),
    text("cipher-alg", "Name of encryption cipher algorithm"),
    text("cipher-mode", "Name of encryption cipher mode"),
    text("ivgen-alg", "Name of IV generator algorithm"),
    text("ivgen-hash-alg", "Name of IV generator hash algorithm"),
    text("hash-alg", "Name of encryption hash algorithm"),
    spec(
        "iter-time",
        ValueKind::Number,
        "Time to spend in PBKDF in milliseconds",
    ),
    spec(
        "detached-header",
        ValueKind::Switch,
        "Create a detached LUKS header",
    ),
];

const QCOW2_AMEND: [OptionSpec; 13] = [
    BACKING_FILE,
    BACKING_FORMAT,
    COMPAT,
    DATA_FILE,
    DATA_FILE_RAW,
    spec(
        "encrypt.iter-time",
        ValueKind::Number,
        "Time to spend in PBKDF in milliseconds",
    ),
    spec(
        "encrypt.keyslot",
        ValueKind::Number,
        "Select a single keyslot to modify explicitly",
    ),
    text(
        "encrypt.new-secret",
        "New secret to set in the matching keyslots. Empty string to erase",
    ),
    text(
        "encrypt.old-secret",
        "Select all keyslots that match this password",
    ),
    text(
        "encrypt.state",
        "Select new state of affected keyslots (active/inactive)",
    ),
    LAZY_REFCOUNTS,
    REFCOUNT_BITS,
    SIZE,
];

const LUKS_AMEND: [OptionSpec; 5] = [
    spec(
        "iter-time",
        ValueKind::Number,
        "Time to spend in PBKDF in milliseconds",
    ),
    spec(
        "keyslot",
        ValueKind::Number,
        "Select a single keyslot to modify explicitly",
    ),
    text(
        "new-secret",
        "New secret to set in the matching keyslots. Empty string to erase",
    ),
    text("old-secret", "Select all keyslots that match this password"),
    text(
        "state",
        "Select new state of affected keyslots (active/inactive)",
    ),
];

/// The options of a format's own, in the order in which `Formatting '…'` prints them; `None`: no such format, or
/// none that can be created.
pub fn format_options(format: &str) -> Option<&'static [OptionSpec]> {
    Some(match format {
        "raw" => &RAW,
        "qcow" => &QCOW1,
        "qcow2" => &QCOW2,
        "luks" => &LUKS,
        "file" => &FILE,
        "host_device" => &HOST_DEVICE,
        _ => return None,
    })
}

/// What `create` takes: the format's options, and the host file's behind them.
pub fn create_options(format: &str) -> Option<Vec<OptionSpec>> {
    let mut options = format_options(format)?.to_vec();
    for option in FILE {
        if !options.iter().any(|known| known.name == option.name) {
            options.push(option);
        }
    }
    Some(options)
}

/// What `amend` takes; `None` for formats that can't be amended.
pub fn amend_options(format: &str) -> Option<&'static [OptionSpec]> {
    Some(match format {
        "qcow2" => &QCOW2_AMEND,
        "luks" => &LUKS_AMEND,
        _ => return None,
    })
}

/// The lines of `-o help`, without the headline.
pub fn help_lines(options: &[OptionSpec]) -> Vec<String> {
    let mut sorted: Vec<&OptionSpec> = options.iter().collect();
    sorted.sort_by_key(|option| option.name);
    sorted
        .into_iter()
        .map(|option| {
            let left = format!("{}={}", option.name, option.kind.shown());
            format!("  {left:<22} - {}", option.help)
        })
        .collect()
}
