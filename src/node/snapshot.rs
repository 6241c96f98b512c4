//! Internal snapshots as every format with them tells about them.

/// One internal snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Decimal id, as a string because the format stores one.
    pub id: String,
    /// Name; need not be unique.
    pub name: String,
    /// Bytes of VM state.
    pub vm_state_size: u64,
    /// Seconds since the epoch.
    pub date_seconds: u32,
    /// Nanoseconds of the second.
    pub date_nanoseconds: u32,
    /// Guest clock in nanoseconds.
    pub vm_clock_nanoseconds: u64,
    /// Instruction count; `None` when the table does not hold one.
    pub icount: Option<u64>,
    /// Length of the disk when the snapshot was taken, in bytes.
    pub disk_size: u64,
}

/// A snapshot to take.
#[derive(Clone, Debug, Default)]
pub struct SnapshotRequest {
    /// Its name.
    pub name: String,
    /// Seconds since the epoch.
    pub date_seconds: u32,
    /// Nanoseconds of the second.
    pub date_nanoseconds: u32,
}
