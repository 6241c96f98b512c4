//! What an audit says about one image.

use std::path::PathBuf;

use serde::Serialize;

use super::finding::{Finding, Severity};
use super::fingerprint::Fingerprint;
use super::heat::Heat;

/// The schema's version; it changes when a field's meaning does.
pub const SCHEMA: u32 = 1;

/// What protects what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Protection {
    /// `none`, `legacy-aes` or `luks1`.
    pub encryption: &'static str,
    /// `aes-256` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// `xts` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// `plain64`, `essiv:sha256` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ivgen: Option<String>,
    /// Which sector number makes the IV: `guest`, `host` or `payload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iv_domain: Option<&'static str>,
    /// Of the key derivation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Active key slots: number and iterations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_slots: Vec<KeySlotFacts>,
    /// Iterations of the master key's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_iterations: Option<u32>,
    /// As in the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Equal for files with the same master key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_mark: Option<String>,
    /// What is not encrypted in any case.
    pub in_clear: &'static str,
}

/// An active key slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeySlotFacts {
    /// 0 to 7.
    pub slot: usize,
    /// PBKDF2 iterations.
    pub iterations: u32,
}

/// A state of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerFacts {
    /// `active`, or a snapshot.
    pub name: String,
    /// Bytes.
    pub disk_size: u64,
    /// Bytes.
    pub vm_state_size: u64,
}

/// One image, audited.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The file.
    pub image: PathBuf,
    /// `qcow`, `qcow2`, `luks` or `raw`.
    pub format: &'static str,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Bytes of a cluster, for formats that have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_size: Option<u64>,
    /// A backing file's name, which was not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backing_file: Option<String>,
    /// What protects what.
    pub protection: Protection,
    /// The active state, then the snapshots.
    pub layers: Vec<LayerFacts>,
    /// Guest clusters stored, in whatever way.
    pub stored_clusters: u64,
    /// True when the proofs looked at everything.
    pub complete: bool,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// The picture's data.
    #[serde(skip)]
    pub heat: Option<Heat>,
    /// Makes a new image with a key of its own.
    #[serde(skip)]
    pub new_key_command: String,
    /// The mark of the key, for comparisons between images.
    #[serde(skip)]
    pub fingerprint: Option<Fingerprint>,
}

impl ImageReport {
    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Adds a finding in its place: worst first.
    pub fn add(&mut self, finding: Finding) {
        let later = |one: &Finding| (one.severity, finding.id) < (finding.severity, one.id);
        let place = self.findings.iter().position(later);
        let place = place.unwrap_or(self.findings.len());
        self.findings.insert(place, finding);
    }
}
