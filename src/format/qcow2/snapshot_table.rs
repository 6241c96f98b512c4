//! The snapshot table (qcow2 §6).

use crate::base::bytes::{Reader, Truncated};
use crate::base::error::errno;
use crate::base::{Error, HostOffset, limits};

/// Bytes of an entry before its extra data.
pub const FIXED_BYTES: usize = 40;
/// Extra data that is always written: VM state size, disk size, instruction count.
pub const WRITTEN_EXTRA_BYTES: usize = 24;
/// Version 3 requires the first two fields of the extra data.
pub const REQUIRED_EXTRA_BYTES: usize = 16;
/// Entries begin at multiples of this.
const ALIGNMENT: usize = 8;

/// Why a table is refused; the words are the real tool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotTableError {
    /// More extra data than is accepted.
    #[error("Too much extra metadata in snapshot table entry {0}")]
    ExtraTooLong(usize),
    /// The entries together are too long.
    #[error("Snapshot table is too big")]
    TooLong {
        /// Entries from the first one that does not fit on.
        overhanging: usize,
    },
    /// The bytes given end before the table: at least that many are needed.
    #[error("Snapshot table is incomplete")]
    Need(usize),
}

impl From<SnapshotTableError> for Error {
    fn from(error: SnapshotTableError) -> Self {
        let hint = match error {
            SnapshotTableError::ExtraTooLong(_) => "this extra metadata".to_owned(),
            SnapshotTableError::TooLong { overhanging } => {
                format!("all {overhanging} overhanging snapshots")
            }
            SnapshotTableError::Need(_) => return Self::eio().with_source(error),
        };
        Self::invalid(error.to_string())
            .with_errno(errno::EFBIG)
            .with_hint(format!(
                "You can force-remove {hint} with qemu-img check -r all"
            ))
            .with_source(error)
    }
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Its L1 table.
    pub l1_offset: HostOffset,
    /// Entries of its L1 table.
    pub l1_entries: u32,
    /// Decimal, by convention.
    pub id: Vec<u8>,
    /// Any bytes.
    pub name: Vec<u8>,
    /// Seconds since the epoch.
    pub date_seconds: u32,
    /// Nanoseconds of the second.
    pub date_nanoseconds: u32,
    /// Guest clock in nanoseconds.
    pub vm_clock_nanoseconds: u64,
    /// Bytes of VM state.
    pub vm_state_size: u64,
    /// Bytes of the disk; `None` when the entry does not say: as long as the disk is now.
    pub disk_size: Option<u64>,
    /// Instruction count, when recorded.
    pub icount: Option<u64>,
    /// Extra data behind the fields known here, kept verbatim.
    pub unknown_extra: Vec<u8>,
    /// Bytes of extra data as stored.
    pub extra_bytes: usize,
}

/// A parsed table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotTable {
    /// The entries, in order.
    pub snapshots: Vec<Snapshot>,
    /// Bytes that they take in the file.
    pub bytes: usize,
    /// Entries whose extra data was cut (`trim`), with the bytes that they claimed.
    pub trimmed: Vec<(usize, u32)>,
}

impl SnapshotTable {
    /// Reads `count` entries. [`SnapshotTableError::Need`] asks for more bytes.
    ///
    /// With `trim` (a repair), overlong extra data is cut instead of refused.
    pub fn parse(bytes: &[u8], count: u32, trim: bool) -> Result<Self, SnapshotTableError> {
        let cap = usize::try_from(limits::QCOW2_MAX_SNAPSHOT_TABLE_BYTES).unwrap_or(usize::MAX);
        let mut table = Self::default();
        for index in 0..usize::try_from(count).unwrap_or(usize::MAX) {
            let start = table.bytes.next_multiple_of(ALIGNMENT);
            let rest = bytes.get(start..).unwrap_or_default();
            let (snapshot, length, cut) = match read_entry(rest, index, trim) {
                Ok(entry) => entry,
                Err(EntryError::Refused(error)) => return Err(error),
                Err(EntryError::Short(needed)) => {
                    return Err(SnapshotTableError::Need(start.saturating_add(needed)));
                }
            };
            let end = start.saturating_add(length);
            if end > cap {
                return Err(SnapshotTableError::TooLong {
                    overhanging: usize::try_from(count).unwrap_or(usize::MAX) - index,
                });
            }
            table.trimmed.extend(cut.map(|claimed| (index, claimed)));
            table.snapshots.push(snapshot);
            table.bytes = end;
        }
        Ok(table)
    }
}

enum EntryError {
    /// That many bytes are needed.
    Short(usize),
    Refused(SnapshotTableError),
}

/// One entry, its length in the file, and the extra data that it claimed when some of it was cut.
fn read_entry(
    bytes: &[u8],
    index: usize,
    trim: bool,
) -> Result<(Snapshot, usize, Option<u32>), EntryError> {
    let mut reader = Reader::new(bytes);
    let short = |_: Truncated| EntryError::Short(FIXED_BYTES);
    let l1_offset = reader.u64().map_err(short)?;
    let l1_entries = reader.u32().map_err(short)?;
    let id_bytes = usize::from(reader.u16().map_err(short)?);
    let name_bytes = usize::from(reader.u16().map_err(short)?);
    let mut snapshot = Snapshot {
        l1_offset: HostOffset::new(l1_offset),
        l1_entries,
        date_seconds: reader.u32().map_err(short)?,
        date_nanoseconds: reader.u32().map_err(short)?,
        vm_clock_nanoseconds: reader.u64().map_err(short)?,
        vm_state_size: u64::from(reader.u32().map_err(short)?),
        ..Snapshot::default()
    };
    let stored = reader.u32().map_err(short)?;
    let cut = (stored > limits::QCOW2_MAX_SNAPSHOT_EXTRA_BYTES).then_some(stored);
    if cut.is_some() && !trim {
        return Err(EntryError::Refused(SnapshotTableError::ExtraTooLong(index)));
    }
    let stored = usize::try_from(stored).unwrap_or(usize::MAX);
    let length = FIXED_BYTES
        .saturating_add(stored)
        .saturating_add(id_bytes + name_bytes);
    let cap = usize::try_from(limits::QCOW2_MAX_SNAPSHOT_TABLE_BYTES).unwrap_or(usize::MAX);
    if length > cap {
        // No such entry fits a table: the caller sees its length.
        return Ok((snapshot, length, cut));
    }
    let short = |_: Truncated| EntryError::Short(length);
    let extra = reader.take(stored).map_err(short)?;
    let kept = limits::QCOW2_MAX_SNAPSHOT_EXTRA_BYTES as usize;
    snapshot.read_extra(extra.get(..kept).unwrap_or(extra));
    snapshot.id = until_nul(reader.take(id_bytes).map_err(short)?);
    snapshot.name = until_nul(reader.take(name_bytes).map_err(short)?);
    Ok((snapshot, length, cut))
}

/// Ids and names end at their first NUL.
fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}

impl Snapshot {
    fn read_extra(&mut self, extra: &[u8]) {
        self.extra_bytes = extra.len();
        let mut reader = Reader::new(extra);
        if let Ok(size) = reader.u64() {
            self.vm_state_size = size;
            self.disk_size = reader.u64().ok();
            // -1 stands for "not recorded".
            self.icount = reader.u64().ok().filter(|&count| count != u64::MAX);
            self.unknown_extra = extra
                .get(WRITTEN_EXTRA_BYTES..)
                .unwrap_or_default()
                .to_vec();
        }
    }

    /// Whether version 3 misses fields in the entry.
    pub const fn incomplete(&self) -> bool {
        self.extra_bytes < REQUIRED_EXTRA_BYTES
    }

    /// The entry as written; `disk_size` stands in for a size that is not recorded.
    fn encode(&self, out: &mut Vec<u8>, disk_size: u64) -> Result<(), SnapshotTableError> {
        let length = |bytes: &[u8]| u16::try_from(bytes.len());
        let too_long = |_| SnapshotTableError::TooLong { overhanging: 1 };
        let extra = WRITTEN_EXTRA_BYTES + self.unknown_extra.len();
        out.extend(self.l1_offset.bytes().to_be_bytes());
        out.extend(self.l1_entries.to_be_bytes());
        out.extend(length(&self.id).map_err(too_long)?.to_be_bytes());
        out.extend(length(&self.name).map_err(too_long)?.to_be_bytes());
        out.extend(self.date_seconds.to_be_bytes());
        out.extend(self.date_nanoseconds.to_be_bytes());
        out.extend(self.vm_clock_nanoseconds.to_be_bytes());
        out.extend(u32::try_from(self.vm_state_size).unwrap_or(0).to_be_bytes());
        out.extend(u32::try_from(extra).map_err(too_long)?.to_be_bytes());
        out.extend(self.vm_state_size.to_be_bytes());
        out.extend(self.disk_size.unwrap_or(disk_size).to_be_bytes());
        out.extend(self.icount.unwrap_or(u64::MAX).to_be_bytes());
        out.extend(&self.unknown_extra);
        out.extend(&self.id);
        out.extend(&self.name);
        Ok(())
    }
}

/// A table as written.
pub fn encode(snapshots: &[Snapshot], disk_size: u64) -> Result<Vec<u8>, SnapshotTableError> {
    let cap = limits::QCOW2_MAX_SNAPSHOT_TABLE_BYTES;
    let mut out = Vec::new();
    for (index, snapshot) in snapshots.iter().enumerate() {
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        snapshot.encode(&mut out, disk_size)?;
        if out.len() as u64 > cap {
            return Err(SnapshotTableError::TooLong {
                overhanging: snapshots.len() - index,
            });
        }
    }
    Ok(out)
}

/// The id of the next snapshot: one more than the largest (qcow2 §6).
pub fn next_id(snapshots: &[Snapshot]) -> u64 {
    let largest = snapshots
        .iter()
        .map(|snapshot| leading_number(&snapshot.id))
        .max();
    largest.unwrap_or(0).saturating_add(1)
}

/// The number that an id begins with; 0 when there is none.
fn leading_number(id: &[u8]) -> u64 {
    let digits = id.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: u64, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests;
