//! The cases: a pairwise covering array over what an image can be.

use std::fmt;

/// Kinds of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Qcow1,
    Qcow2V2,
    Qcow2V3,
    /// Version 3 with subclusters.
    Qcow2Extended,
}

/// What lies under the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    None,
    Raw,
    Qcow2,
    Qcow1,
    Shorter,
    Longer,
    Encrypted,
}

/// One case of the matrix.
#[derive(Clone, Debug)]
pub struct Case {
    pub format: Format,
    pub cluster_size: u64,
    pub refcount_bits: u32,
    /// `none`, `zlib` or `zstd`: what `write -c` uses.
    pub compression: &'static str,
    /// Options behind `encrypt.`, empty for none.
    pub encryption: &'static [(&'static str, &'static str)],
    pub backing: Backing,
    pub snapshots: usize,
    /// Guest clusters lie in a file of their own.
    pub data_file: bool,
}

const FORMATS: [Format; 4] = [
    Format::Qcow1,
    Format::Qcow2V2,
    Format::Qcow2V3,
    Format::Qcow2Extended,
];
const CLUSTER_SIZES: [u64; 4] = [512, 4096, 65536, 2 << 20];
const REFCOUNT_BITS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
const COMPRESSIONS: [&str; 3] = ["none", "zlib", "zstd"];
const ENCRYPTIONS: [&[(&str, &str)]; 8] = [
    &[],
    &[("format", "aes")],
    &[("format", "luks")],
    &[("format", "luks"), ("ivgen-alg", "plain")],
    &[
        ("format", "luks"),
        ("cipher-alg", "aes-128"),
        ("cipher-mode", "cbc"),
        ("ivgen-alg", "plain64"),
    ],
    &[
        ("format", "luks"),
        ("cipher-mode", "cbc"),
        ("ivgen-alg", "plain"),
    ],
    &[
        ("format", "luks"),
        ("cipher-mode", "cbc"),
        ("ivgen-alg", "essiv"),
        ("ivgen-hash-alg", "sha256"),
    ],
    &[
        ("format", "luks"),
        ("cipher-alg", "aes-128"),
        ("hash-alg", "sha512"),
        ("ivgen-alg", "essiv"),
        ("ivgen-hash-alg", "sha256"),
    ],
];
const BACKINGS: [Backing; 7] = [
    Backing::None,
    Backing::Raw,
    Backing::Qcow2,
    Backing::Qcow1,
    Backing::Shorter,
    Backing::Longer,
    Backing::Encrypted,
];
const SNAPSHOTS: [usize; 2] = [0, 2];
const DATA_FILES: [bool; 2] = [false, true];

const LEVELS: [usize; 8] = [
    FORMATS.len(),
    CLUSTER_SIZES.len(),
    REFCOUNT_BITS.len(),
    COMPRESSIONS.len(),
    ENCRYPTIONS.len(),
    BACKINGS.len(),
    SNAPSHOTS.len(),
    DATA_FILES.len(),
];

/// A level of each factor.
pub type Row = [usize; LEVELS.len()];

impl Case {
    /// The case of a row.
    pub fn from_row(row: &Row) -> Self {
        Self {
            format: FORMATS[row[0]],
            cluster_size: CLUSTER_SIZES[row[1]],
            refcount_bits: REFCOUNT_BITS[row[2]],
            compression: COMPRESSIONS[row[3]],
            encryption: ENCRYPTIONS[row[4]],
            backing: BACKINGS[row[5]],
            snapshots: SNAPSHOTS[row[6]],
            data_file: DATA_FILES[row[7]],
        }
    }

    /// Whether the formats allow the combination at all.
    fn is_possible(&self) -> bool {
        // Neither snapshots nor compressed clusters go with a data file; old versions know none.
        let external = self.snapshots == 0
            && self.compression == "none"
            && matches!(self.format, Format::Qcow2V3 | Format::Qcow2Extended);
        if self.data_file && !external {
            return false;
        }
        let luks = self.is_luks();
        match self.format {
            // v1 chooses its own cluster size and has no refcounts, snapshots, zstd or LUKS.
            Format::Qcow1 => {
                self.cluster_size == 4096
                    && self.refcount_bits == 16
                    && self.compression != "zstd"
                    && !luks
                    && self.snapshots == 0
            }
            Format::Qcow2V2 => self.refcount_bits == 16 && self.compression != "zstd",
            Format::Qcow2V3 => self.counts_fit(),
            // Smaller clusters have no room for 32 subclusters.
            Format::Qcow2Extended => self.cluster_size >= 16384 && self.counts_fit(),
        }
    }

    /// One bit can't count a snapshot's second reference; two can't count a packed cluster's many.
    fn counts_fit(&self) -> bool {
        self.snapshots == 0
            || self.refcount_bits > 2
            || (self.refcount_bits == 2 && self.compression == "none")
    }

    /// Encrypted, and not the legacy way.
    pub fn is_luks(&self) -> bool {
        self.encryption.iter().any(|(_, value)| *value == "luks")
    }

    /// True when some key is needed to open the chain.
    pub fn is_encrypted(&self) -> bool {
        !self.encryption.is_empty()
    }

    /// Disk size in bytes: a few clusters and an odd tail.
    pub fn size(&self) -> u64 {
        (1_u64 << 20).max(5 * self.cluster_size) + 3 * 512
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cluster={} refcount_bits={} compression={} encryption={:?} backing={:?} snapshots={} data_file={}",
            self.format,
            self.cluster_size,
            self.refcount_bits,
            self.compression,
            self.encryption,
            self.backing,
            self.snapshots,
            self.data_file
        )
    }
}

/// Every row of the full product that the formats allow.
pub fn possible_rows() -> Vec<Row> {
    let mut rows = vec![[0; LEVELS.len()]];
    for (factor, &levels) in LEVELS.iter().enumerate() {
        rows = rows
            .into_iter()
            .flat_map(|row| {
                (0..levels).map(move |level| {
                    let mut next = row;
                    next[factor] = level;
                    next
                })
            })
            .collect();
    }
    rows.retain(|row| Case::from_row(row).is_possible());
    rows
}

/// The pairs of levels that a row has.
pub fn pairs(row: &Row) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..row.len()).flat_map(move |a| (a + 1..row.len()).map(move |b| (a, row[a], b, row[b])))
}

/// Greedy: the row that covers most pairs still open, until every possible pair is covered.
pub fn pairwise() -> Vec<Case> {
    let rows = possible_rows();
    let mut open: std::collections::HashSet<_> = rows.iter().flat_map(pairs).collect();
    let mut chosen = Vec::new();
    while !open.is_empty() {
        let gain = |row: &Row| pairs(row).filter(|pair| open.contains(pair)).count();
        // max_by_key takes the last of equals: deterministic, as the rows are in order.
        let best = rows
            .iter()
            .max_by_key(|row| gain(row))
            .expect("open pairs come from these rows");
        for pair in pairs(best) {
            open.remove(&pair);
        }
        chosen.push(Case::from_row(best));
    }
    chosen
}
