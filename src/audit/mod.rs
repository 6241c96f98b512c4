//! Floor 6: the auditor. Which (key, IV) pairs cover more than one place, what lies in clear, which choices are
//! weak; shown on the ciphertext, without the password.

pub mod against;
pub mod collisions;
pub mod content;
pub mod disk;
mod explain;
pub mod finding;
pub mod findings;
pub mod fingerprint;
pub mod freed;
pub mod heat;
pub mod image;
pub mod iv;
pub mod luks_disk;
pub mod options;
pub mod proof;
pub mod qcow1_disk;
pub mod qcow2_disk;
mod repair;
pub mod report;
pub mod sectors;
pub mod siblings;
pub mod survey;
mod weak;
pub mod wrap;

pub use finding::{Finding, FindingId, Severity};
pub use image::{Format, audit, audit_with, probe_file};
pub use options::AuditOptions;
pub use report::ImageReport;
