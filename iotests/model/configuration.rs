//! What an image of a history is: format, sizes, encryption, and the files it may lie on.

use std::fmt;
use std::str::FromStr;

use proptest::prelude::*;

/// Kinds of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Qcow1,
    V2,
    V3,
}

/// Kinds of encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    None,
    Aes,
    Luks,
}

/// Where guest clusters lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFile {
    None,
    Plain,
    Raw,
}

/// The image of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of an image, each its own"
)]
pub struct Configuration {
    pub format: Format,
    pub size: u64,
    pub cluster_size: u64,
    pub refcount_bits: u64,
    pub zstd: bool,
    pub lazy_refcounts: bool,
    /// Clusters of 32 subclusters each.
    pub extended: bool,
    pub encryption: Encryption,
    pub data_file: DataFile,
    /// Length of `a.raw`.
    pub raw_base: u64,
    /// Length of `b.qcow2`.
    pub qcow2_base: u64,
    /// `b.qcow2` is encrypted with a secret of its own.
    pub encrypted_base: bool,
    /// The file that the image lies on at first.
    pub lies_on: Option<Base>,
}

/// A file under the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// `a.raw`
    A,
    /// `b.qcow2`
    B,
}

impl Base {
    /// Both, in the order of everything that is kept for each.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// Its place in that order.
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The name of its format.
    pub const fn format(self) -> &'static str {
        match self {
            Self::A => "raw",
            Self::B => "qcow2",
        }
    }

    /// The name of its file.
    pub const fn file(self) -> &'static str {
        match self {
            Self::A => "a.raw",
            Self::B => "b.qcow2",
        }
    }
}

impl Configuration {
    /// Bytes of a base at first.
    pub const fn base_length(&self, base: Base) -> u64 {
        match base {
            Base::A => self.raw_base,
            Base::B => self.qcow2_base,
        }
    }

    /// How an image's header names a base: a key can't be told otherwise.
    pub fn base_name(&self, base: Base) -> String {
        if base == Base::B && self.encrypted_base {
            r#"json:{"driver":"qcow2","file.filename":"b.qcow2","encrypt.key-secret":"base"}"#
                .to_owned()
        } else {
            base.file().to_owned()
        }
    }

    /// How a rebase names a base: an image that is opened with a key has no name that others could be relative to.
    pub fn rebase_name(&self, base: Base) -> String {
        if self.encryption == Encryption::None || base == Base::B && self.encrypted_base {
            return self.base_name(base);
        }
        format!(
            r#"json:{{"driver":"{}","file.filename":"{}"}}"#,
            base.format(),
            base.file()
        )
    }

    /// The name of the image's driver.
    pub const fn driver(&self) -> &'static str {
        match self.format {
            Format::Qcow1 => "qcow",
            Format::V2 | Format::V3 => "qcow2",
        }
    }

    /// `-o` of `qemu-img create`, for the image in `file`.
    pub fn create_options(&self) -> String {
        let mut options = Vec::new();
        if self.format != Format::Qcow1 {
            let version = if self.format == Format::V2 {
                "0.10"
            } else {
                "1.1"
            };
            options.push(format!("compat={version}"));
            options.push(format!("cluster_size={}", self.cluster_size));
        }
        if self.format == Format::V3 {
            options.push(format!("refcount_bits={}", self.refcount_bits));
            let codec = if self.zstd { "zstd" } else { "zlib" };
            options.push(format!("compression_type={codec}"));
            let lazy = if self.lazy_refcounts { "on" } else { "off" };
            options.push(format!("lazy_refcounts={lazy}"));
            if self.extended {
                options.push("extended_l2=on".to_owned());
            }
        }
        match self.data_file {
            DataFile::None => {}
            DataFile::Plain => options.push("data_file=data".to_owned()),
            DataFile::Raw => options.push("data_file=data,data_file_raw=on".to_owned()),
        }
        match self.encryption {
            Encryption::None => {}
            Encryption::Aes => options.push("encrypt.format=aes,encrypt.key-secret=top".to_owned()),
            Encryption::Luks => options
                .push("encrypt.format=luks,encrypt.key-secret=top,encrypt.iter-time=0".to_owned()),
        }
        options.join(",")
    }

    /// `--image-opts` of the image in `t.img`.
    pub fn open_options(&self) -> String {
        let key = match self.encryption {
            Encryption::None => "",
            _ => ",encrypt.key-secret=top",
        };
        format!("driver={},file.filename=t.img{key}", self.driver())
    }

    /// Makes a combination one that the formats allow.
    fn possible(mut self) -> Self {
        if self.format == Format::Qcow1 {
            self.cluster_size = if self.lies_on.is_some() { 512 } else { 4096 };
            self.data_file = DataFile::None;
            if self.encryption == Encryption::Luks {
                self.encryption = Encryption::Aes;
            }
        }
        if self.format != Format::V3 {
            self.refcount_bits = 16;
            self.zstd = false;
            self.lazy_refcounts = false;
            self.extended = false;
            self.data_file = DataFile::None;
        }
        if self.data_file == DataFile::Raw {
            self.lies_on = None;
            self.encryption = Encryption::None;
        }
        self
    }

    /// Any image.
    pub fn any() -> impl Strategy<Value = Self> {
        let cluster_bits = prop_oneof![40 => Just(9_u32), 10 => Just(10), 20 => Just(12), 10 => Just(16), 1 => Just(21)];
        let format =
            prop_oneof![1 => Just(Format::Qcow1), 1 => Just(Format::V2), 4 => Just(Format::V3)];
        let encryption = prop_oneof![2 => Just(Encryption::None), 1 => Just(Encryption::Aes), 1 => Just(Encryption::Luks)];
        let data_file = prop_oneof![8 => Just(DataFile::None), 1 => Just(DataFile::Plain), 1 => Just(DataFile::Raw)];
        let lies_on =
            prop_oneof![2 => Just(None), 1 => Just(Some(Base::A)), 1 => Just(Some(Base::B))];
        let sizes = (1_u64..60, 0_u64..128, 1_u64..200, 1_u64..200);
        let extended = prop::option::weighted(0.15, 14_u32..17);
        let switches = (
            any::<bool>(),
            prop::bool::weighted(0.2),
            any::<bool>(),
            extended,
        );
        let kinds = (format, encryption, data_file, lies_on);
        (cluster_bits, 0_u32..7, kinds, sizes, switches).prop_map(
            |(cluster_bits, refcount_order, kinds, sizes, switches)| {
                let (format, encryption, data_file, lies_on) = kinds;
                let extended = switches.3.filter(|_| format == Format::V3);
                let cluster_size = 1_u64 << extended.unwrap_or(cluster_bits);
                // A few hundred kilobytes at most.
                let clusters = 1 + sizes.0 % (240_000 / cluster_size).max(2);
                let size = cluster_size * clusters + sizes.1 * 512 % cluster_size;
                Self {
                    format,
                    size,
                    cluster_size,
                    refcount_bits: 1 << refcount_order,
                    zstd: switches.0,
                    lazy_refcounts: switches.1,
                    extended: extended.is_some(),
                    encryption,
                    data_file,
                    raw_base: (size * sizes.2 / 100).next_multiple_of(512),
                    qcow2_base: (size * sizes.3 / 100).next_multiple_of(512),
                    encrypted_base: switches.2,
                    lies_on,
                }
                .possible()
            },
        )
    }
}

/// One line of words; [`FromStr`] reads it again.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lies_on = self.lies_on.map_or("none", Base::file);
        write!(
            f,
            "format={:?} size={} cluster={} refcount_bits={} zstd={} lazy={} extended={} encryption={:?} data_file={:?} \
             a.raw={} b.qcow2={} encrypted_base={} lies_on={lies_on}",
            self.format,
            self.size,
            self.cluster_size,
            self.refcount_bits,
            self.zstd,
            self.lazy_refcounts,
            self.extended,
            self.encryption,
            self.data_file,
            self.raw_base,
            self.qcow2_base,
            self.encrypted_base,
        )
    }
}

impl FromStr for Configuration {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let value = |name: &str| {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| format!("{name} is missing: {line}"))
        };
        let number = |name: &str| -> Result<u64, String> {
            value(name)?.parse().map_err(|e| format!("{name}: {e}"))
        };
        let truth = |name: &str| Ok::<_, String>(value(name)? == "true");
        Ok(Self {
            format: match value("format")? {
                "Qcow1" => Format::Qcow1,
                "V2" => Format::V2,
                _ => Format::V3,
            },
            size: number("size")?,
            cluster_size: number("cluster")?,
            refcount_bits: number("refcount_bits")?,
            zstd: truth("zstd")?,
            lazy_refcounts: truth("lazy")?,
            // Older regressions don't say.
            extended: truth("extended").unwrap_or(false),
            encryption: match value("encryption")? {
                "Aes" => Encryption::Aes,
                "Luks" => Encryption::Luks,
                _ => Encryption::None,
            },
            data_file: match value("data_file")? {
                "Plain" => DataFile::Plain,
                "Raw" => DataFile::Raw,
                _ => DataFile::None,
            },
            raw_base: number("a.raw")?,
            qcow2_base: number("b.qcow2")?,
            encrypted_base: truth("encrypted_base")?,
            lies_on: match value("lies_on")? {
                "a.raw" => Some(Base::A),
                "b.qcow2" => Some(Base::B),
                _ => None,
            },
        })
    }
}
