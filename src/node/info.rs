//! What `info` and `check` tell about an image.

use serde_json::{Map, Value};

/// Facts that an image's own header gives.
#[derive(Clone, Debug, Default)]
pub struct ImageInfo {
    /// Bytes of a cluster, for formats that have clusters.
    pub cluster_size: Option<u64>,
    /// The payload is encrypted.
    pub encrypted: bool,
    /// The image was not closed cleanly (lazy refcounts).
    pub dirty: bool,
    /// Where VM state starts on the guest's address space; 0 for formats that have none.
    pub vm_state_offset: u64,
    /// The format-specific section: its `type`, and its data in the order in which the real tools print it
    /// (JSON names; the text form writes spaces for dashes).
    pub specific: Option<(&'static str, Map<String, Value>)>,
}

/// What `check` may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Nothing.
    #[default]
    Nothing,
    /// Leaked clusters only.
    Leaks,
    /// Everything.
    All,
}

/// The counts of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Findings that mean wrong data may be read or written.
    pub corruptions: u64,
    /// Clusters that nothing uses.
    pub leaks: u64,
    /// Findings that could not be examined.
    pub check_errors: u64,
    /// Corruptions repaired.
    pub corruptions_fixed: u64,
    /// Leaks repaired.
    pub leaks_fixed: u64,
    /// End of the last used cluster, in bytes.
    pub image_end_offset: u64,
    /// Guest clusters in all.
    pub total_clusters: u64,
    /// Guest clusters allocated.
    pub allocated_clusters: u64,
    /// Clusters that do not follow their predecessor in the file.
    pub fragmented_clusters: u64,
    /// Clusters stored compressed.
    pub compressed_clusters: u64,
}
