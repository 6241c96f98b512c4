//! What an audit finds: which weakness, how bad, with what evidence.

use serde::Serialize;
use serde_json::{Map, Value};

use super::explain;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fact worth knowing.
    Info,
    /// Helps an attacker who has other means already.
    Low,
    /// A weakness that somebody with the file can use.
    Medium,
    /// Content leaks to anybody who has the file.
    High,
}

impl Severity {
    /// Its name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Which weakness. The names are stable: other programs read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingId {
    /// Nothing is encrypted.
    NotEncrypted,
    /// The password is the key, and the guest sector the IV.
    LegacyAes,
    /// One guest sector is stored more than once under one key and IV.
    IvReuseSnapshots,
    /// The same for the machine's memory in snapshots.
    IvReuseVmState,
    /// LUKS that takes its IVs from the guest sector: a fault of the writer.
    IvGuestOffset,
    /// `plain` IVs start again after 2 TiB, and both sides are in use.
    IvWrap,
    /// `plain` IVs, which would start again after 2 TiB.
    PlainIv,
    /// No IV at all.
    Ecb,
    /// A counter mode: overwriting is a two-time pad.
    Ctr,
    /// CBC with IVs that everybody knows.
    CbcPredictableIv,
    /// Overwritten in place since the older copy.
    ReuseInPlace,
    /// The place was given to other guest data since the older copy.
    ReuseMoved,
    /// Legacy AES: the guest sector changed since the older copy.
    ReuseOverTime,
    /// Another image has the same master key.
    SharedMasterKey,
    /// Another image has the same password, and it shows.
    SharedPassword,
    /// Compressed clusters are not encrypted.
    PlaintextCompressed,
    /// Space that was reserved and never written.
    NeverWritten,
    /// Clusters that are free, or read as zeros, and still hold data.
    StaleClusters,
    /// Few PBKDF2 iterations.
    FewIterations,
    /// An outdated hash.
    WeakHash,
    /// A block cipher with 64-bit blocks.
    SmallBlocks,
    /// More passwords than expected open the image.
    ExtraKeySlots,
    /// No password opens the image.
    NoKeySlot,
    /// The data is in another file, which was not examined.
    DataFileNotExamined,
}

impl FindingId {
    /// Its name in every output.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

/// One copy of something in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The layer (active, a snapshot) or the file that it belongs to.
    pub layer: String,
    /// Byte offset in the file.
    pub host_offset: u64,
}

/// One place where the weakness shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Example {
    /// Byte offset on the guest's disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_offset: Option<u64>,
    /// Where it lies.
    pub places: Vec<Place>,
    /// Leading bytes of the first sector that are equal (CBC), or bytes in equal blocks (other modes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equal_bytes: Option<u64>,
}

/// What shows that a finding is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// One sentence with the numbers.
    pub summary: String,
    /// The numbers by name (`docs/audit.md`).
    pub numbers: Map<String, Value>,
    /// The first few places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

impl Evidence {
    /// Evidence that is said in one sentence.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    /// Adds a number (or a list, or a name).
    #[must_use]
    pub fn number(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.numbers.insert(name.to_owned(), value.into());
        self
    }

    /// Adds examples.
    #[must_use]
    pub fn examples(mut self, examples: Vec<Example>) -> Self {
        self.examples = examples;
        self
    }
}

/// One weakness of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub id: FindingId,
    /// How bad.
    pub severity: Severity,
    /// A headline.
    pub title: &'static str,
    /// What it means, for people without cryptography.
    pub explanation: &'static str,
    /// What shows it.
    pub evidence: Evidence,
    /// The command that repairs it; `None` when there is nothing to repair.
    pub repair: Option<String>,
}

impl Finding {
    /// A finding with the words that belong to its kind.
    pub fn new(id: FindingId, severity: Severity, evidence: Evidence) -> Self {
        let (title, explanation) = explain::words(id);
        Self {
            id,
            severity,
            title,
            explanation,
            evidence,
            repair: None,
        }
    }

    /// Adds the command that repairs it.
    #[must_use]
    pub fn repaired_by(mut self, command: impl Into<String>) -> Self {
        self.repair = Some(command.into());
        self
    }
}
