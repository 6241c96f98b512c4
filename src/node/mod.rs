//! Floor 3: the `Node` trait and what every driver shares around it.

pub mod access;
pub mod amend;
pub mod bitmap;
pub mod debug_event;
pub mod dirty_bits;
pub mod extent;
pub mod host_file;
pub mod info;
pub mod notice;
pub mod progress;
pub mod range_lock;
pub mod snapshot;
pub mod turn;

use std::sync::Arc;

use bitflags::bitflags;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, Result};

pub use access::{Access, Permissions};
pub use amend::{AmendRequest, KeySlotChange};
pub use bitmap::{BitmapChange, BitmapInfo};
pub use debug_event::{Breakpoints, DebugEvent};
pub use dirty_bits::DirtyBits;
pub use extent::Extent;
pub use host_file::HostFile;
pub use info::{CheckReport, ImageInfo, Repair};
pub use notice::Notices;
pub use range_lock::{RangeGuard, RangeLocks};
pub use snapshot::{SnapshotInfo, SnapshotRequest};
pub use turn::Turn;

/// A node as everything holds it.
pub type SharedNode = Arc<dyn Node>;

bitflags! {
    /// How a range may be zeroed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ZeroFlags: u8 {
        /// The space may be given back (`write -z -u`).
        const MAY_UNMAP = 1;
        /// ENOTSUP rather than writing zero bytes one by one (`write -n`).
        const NO_FALLBACK = 2;
    }
}

/// How much of new space is reserved, at create and resize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocation {
    /// Nothing.
    #[default]
    Off,
    /// Mapping tables, no data.
    Metadata,
    /// Space reserved, not written.
    Falloc,
    /// Space written.
    Full,
}

impl Preallocation {
    /// What it means for a file that has no mapping tables.
    #[must_use]
    pub const fn of_a_file(self) -> Self {
        match self {
            Self::Metadata => Self::Off,
            other => other,
        }
    }
}

/// The backing file as an image's header names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackingReference {
    /// The name, relative to the image's directory, or `json:`.
    pub name: String,
    /// The format, when recorded.
    pub format: Option<String>,
}

/// Protocol, format and filter drivers alike: positioned I/O on `&self`, from many threads at once.
///
/// Any offset and length is accepted; a driver with a larger unit reads, modifies and writes by itself.
/// Reads past [`Node::length`] of a protocol node give zeros; a protocol node grows when written past its
/// end. Format nodes answer EIO for both.
pub trait Node: Send + Sync {
    /// The driver's name: `qcow2`, `raw`, `file` …
    fn driver(&self) -> &'static str;

    /// The name that messages show.
    fn filename(&self) -> String;

    /// Whether writes are allowed.
    fn writable(&self) -> bool;

    /// Visible length in bytes.
    fn length(&self) -> Result<u64>;

    /// Smaller requests cost a read-modify-write (bytes, a power of two).
    fn request_alignment(&self) -> u64 {
        1
    }

    /// Fills `buffer` from `offset`.
    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()>;

    /// Writes `data` at `offset`.
    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()>;

    /// Like [`Node::write_at`], but may scribble on `data`: encrypting drivers save a copy.
    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        self.write_at(offset, data)
    }

    /// Writes one cluster (or the image's last, short one) compressed.
    fn write_compressed(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        let _ = (offset, data);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// [`Node::write_at_in_place`] as one of a queue of parallel writes: `turn` orders what decides where the
    /// bytes are stored.
    ///
    /// A driver that allocates takes the turn around its allocation only, so that ciphering and data I/O of
    /// several writers overlap; a driver that does not allocate waits for no turn. This default keeps the whole
    /// write inside the turn.
    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        turn.wait()?;
        self.write_at_in_place(offset, data)?;
        turn.pass();
        Ok(())
    }

    /// [`Node::write_compressed`] as one of a queue: compress first, then take the turn to allocate.
    fn write_compressed_in_turn(
        &self,
        offset: GuestOffset,
        data: &[u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        turn.wait()?;
        self.write_compressed(offset, data)?;
        turn.pass();
        Ok(())
    }

    /// Makes a range read as zeros.
    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()>;

    /// Gives a range back; what it reads as afterwards is the driver's affair.
    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let _ = (offset, length);
        Ok(())
    }

    /// Makes everything written so far durable.
    fn flush(&self) -> Result<()>;

    /// [`Node::flush`] as the last part of a write.
    fn flush_write(&self) -> Result<()> {
        self.flush()
    }

    /// Changes the visible length.
    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        let _ = (length, preallocation);
        Err(Error::unsupported(
            "Image format driver does not support resize",
        ))
    }

    /// What is at `offset`: the longest run of one status that is cheap to find, at most `length` bytes,
    /// never empty unless `length` is 0 or `offset` is at the end.
    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent>;

    /// Facts for `info`. Needs no key and does no data I/O.
    fn info(&self) -> Result<ImageInfo> {
        Ok(ImageInfo::default())
    }

    /// Bytes the storage really uses, when known.
    fn allocated_bytes(&self) -> Option<u64> {
        self.file().and_then(|file| file.allocated_bytes())
    }

    /// Verifies the metadata; each finding goes to `report` as a line in the real tool's words.
    fn check(&self, repair: Repair, report: &mut dyn FnMut(&str)) -> Result<CheckReport> {
        let _ = (repair, report);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Changes options of the image (`amend`).
    fn amend(&self, request: &AmendRequest<'_>) -> Result<()> {
        let _ = request;
        Err(Error::unsupported(format!(
            "Format driver '{}' does not support option amendment",
            self.driver()
        )))
    }

    /// The protocol node below a format node.
    fn file(&self) -> Option<SharedNode> {
        None
    }

    /// The node that stores the guest's data, when it is not [`Node::file`].
    fn data_file(&self) -> Option<SharedNode> {
        None
    }

    /// What the edge to [`Node::file`] is called.
    fn child_name(&self) -> &'static str {
        "file"
    }

    /// The nodes below as they are listed, by the names of their edges; the backing file is not among them.
    fn children(&self) -> Vec<(String, SharedNode)> {
        self.file()
            .map(|file| (self.child_name().to_owned(), file))
            .into_iter()
            .collect()
    }

    /// The node that unallocated ranges are read from.
    fn backing(&self) -> Option<SharedNode> {
        None
    }

    /// Sets or clears the backing node (not the name in the header).
    fn set_backing(&self, backing: Option<SharedNode>) -> Result<()> {
        match backing {
            None => Ok(()),
            Some(_) => Err(Error::bare(errno::ENOTSUP)),
        }
    }

    /// The backing file that the header names.
    fn backing_reference(&self) -> Option<BackingReference> {
        None
    }

    /// Rewrites the backing file's name in the header (`None`: no backing file any more).
    fn change_backing_reference(&self, reference: Option<&BackingReference>) -> Result<()> {
        let _ = reference;
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Drops everything this layer allocates, so that all reads go to the backing node (after commit).
    fn make_empty(&self) -> Result<()> {
        Err(Error::bare(errno::ENOTSUP))
    }

    /// The internal snapshots; ENOTSUP for formats without.
    fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Takes an internal snapshot.
    fn snapshot_create(&self, request: &SnapshotRequest) -> Result<()> {
        let _ = request;
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Makes the active state that of a snapshot (by id, then name).
    fn snapshot_apply(&self, id_or_name: &str) -> Result<()> {
        let _ = id_or_name;
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Deletes the snapshot with that id (when given) and name (when given).
    fn snapshot_delete(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        let _ = (id, name);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Turns a read-only node into a view of one snapshot (`convert -l`).
    fn snapshot_load(&self, id: Option<&str>, name: Option<&str>) -> Result<()> {
        let _ = (id, name);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Whether this image can store dirty bitmaps.
    fn supports_bitmaps(&self) -> bool {
        false
    }

    /// The dirty bitmaps, in the order in which they are stored.
    fn bitmaps(&self) -> Vec<BitmapInfo> {
        Vec::new()
    }

    /// Adds an empty bitmap; `None`: the granularity that suits the image.
    fn bitmap_add(&self, name: &str, granularity: Option<u64>, enabled: bool) -> Result<()> {
        let _ = (name, granularity, enabled);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Removes a bitmap.
    fn bitmap_remove(&self, name: &str) -> Result<()> {
        Err(no_bitmap(name))
    }

    /// Changes a bitmap.
    fn bitmap_change(&self, name: &str, change: BitmapChange) -> Result<()> {
        let _ = change;
        Err(no_bitmap(name))
    }

    /// A copy of a bitmap's content.
    fn bitmap_bits(&self, name: &str) -> Result<DirtyBits> {
        Err(no_bitmap(name))
    }

    /// Adds what is dirty in `bits` to a bitmap.
    fn bitmap_merge(&self, name: &str, bits: &DirtyBits) -> Result<()> {
        let _ = bits;
        Err(no_bitmap(name))
    }

    /// Reads VM state (`read -b`).
    fn read_vm_state(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        let _ = (position, buffer);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Writes VM state (`write -b`).
    fn write_vm_state(&self, position: u64, data: &[u8]) -> Result<()> {
        let _ = (position, data);
        Err(Error::bare(errno::ENOTSUP))
    }

    /// Tells that a driver above has reached `event`: a debugging node acts on it, others don't mind.
    fn debug_event(&self, event: DebugEvent) {
        let _ = event;
    }

    /// The breakpoints of the debugging node below, if there is one.
    fn breakpoints(&self) -> Option<Arc<dyn Breakpoints>> {
        self.file().and_then(|file| file.breakpoints())
    }

    /// Declares what this node's user does with it, for the locks between processes; replaces what was declared
    /// before. Nodes without locks of their own hand it down.
    fn set_access(&self, access: Access) -> Result<()> {
        match self.file() {
            Some(file) => file.set_access(access),
            None => Ok(()),
        }
    }

    /// Flushes, writes what close has to write and reports errors that `Drop` would swallow.
    /// The node is not used afterwards. Closes its children too.
    fn close(&self) -> Result<()>;
}

/// The error for a bitmap that an image does not have.
pub fn no_bitmap(name: &str) -> Error {
    Error::caller(format!("Dirty bitmap '{name}' not found")).with_errno(errno::ENOENT)
}
