//! The node over a raw image.

use parking_lot::RwLock;

use crate::base::error::errno;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::node::{
    DebugEvent, Extent, HostFile, ImageInfo, Node, Preallocation, SharedNode, Turn, ZeroFlags,
};

/// Bytes of a sector: the unit in which lengths count, and what a probe looks at.
const SECTOR: u64 = 512;

/// The part of the file that is the disk (`offset=`, `size=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Where the disk starts in the file.
    pub offset: u64,
    /// Its length; `None`: to the end of the file.
    pub size: Option<u64>,
}

/// Says whether a first sector would be taken for another format.
pub type HeaderGuard = fn(&[u8]) -> bool;

/// A raw image.
pub struct Raw {
    file: HostFile,
    filename: String,
    window: Window,
    length: RwLock<u64>,
    discard: bool,
    /// Another image lies in it: it grows when written behind its end, and has zeros there.
    storage: bool,
    guard: Option<HeaderGuard>,
}

impl Raw {
    /// A raw disk in `window` of `file`; `filename` is what messages show.
    pub fn new(file: SharedNode, filename: String, window: Window) -> Result<Self> {
        let file_length = file.length()?;
        let length = window_length(window, file_length)?;
        Ok(Self {
            file: HostFile::new(file),
            filename,
            window,
            length: RwLock::new(length),
            discard: true,
            storage: false,
            guard: None,
        })
    }

    /// Whether discards reach the file (`discard=unmap`).
    #[must_use]
    pub const fn with_discard(mut self, discard: bool) -> Self {
        self.discard = discard;
        self
    }

    /// Whether another image lies in it: then it is as long as it has to be.
    #[must_use]
    pub const fn as_storage(mut self, storage: bool) -> Self {
        self.storage = storage;
        self
    }

    /// Refuses writes that would make the first sector look like another format's header: the image was
    /// probed as raw, and the next probe must not believe what a guest wrote.
    #[must_use]
    pub fn with_guard(mut self, guard: HeaderGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    fn below(&self, offset: GuestOffset) -> Result<HostOffset> {
        Ok(HostOffset::new(offset.plus(self.window.offset)?.bytes()))
    }

    fn check_range(&self, offset: GuestOffset, length: u64) -> Result<()> {
        if offset.plus(length)?.bytes() > *self.length.read() {
            return Err(Error::eio());
        }
        Ok(())
    }

    /// Room for a write: storage grows, unless its size was given.
    fn reserve(&self, offset: GuestOffset, length: u64) -> Result<()> {
        if !self.storage {
            return self.check_range(offset, length);
        }
        let end = offset.plus(length)?.bytes();
        if end > *self.length.read() {
            if self.window.size.is_some() {
                return Err(Error::bare(errno::ENOSPC));
            }
            let mut length = self.length.write();
            *length = end.next_multiple_of(SECTOR).max(*length);
        }
        Ok(())
    }

    /// Fills what lies behind the end of storage with zeros; the rest is to be read.
    fn readable<'b>(&self, offset: GuestOffset, buffer: &'b mut [u8]) -> Result<&'b mut [u8]> {
        if !self.storage {
            self.check_range(offset, buffer.len() as u64)?;
            return Ok(buffer);
        }
        let inside = self.length.read().saturating_sub(offset.bytes());
        let inside = usize::try_from(inside).unwrap_or(usize::MAX);
        let (stored, behind) = buffer.split_at_mut(inside.min(buffer.len()));
        behind.fill(0);
        Ok(stored)
    }

    fn check_header(
        &self,
        offset: GuestOffset,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<()> {
        let Some(guard) = self.guard else {
            return Ok(());
        };
        let first = usize::try_from(offset.bytes().min(SECTOR)).unwrap_or(0);
        let mut sector = [0; 512];
        let end = sector.len().min(first.saturating_add(length));
        if first >= end {
            return Ok(());
        }
        self.file
            .read_at(self.below(GuestOffset::ZERO)?, &mut sector)?;
        fill(&mut sector[first..end]);
        if guard(&sector) {
            return Err(Error::bare(errno::EPERM));
        }
        Ok(())
    }
}

fn window_length(window: Window, file_length: u64) -> Result<u64> {
    if window.offset > file_length {
        return Err(Error::caller(format!(
            "Offset ({}) cannot be greater than size of the containing file ({file_length})",
            window.offset
        )));
    }
    let available = file_length - window.offset;
    match window.size {
        // The two blanks are the real tool's.
        Some(size) if size > available => Err(Error::caller(format!(
            "The sum of offset ({}) and size ({size}) has to be smaller or equal to the  actual size of the containing file ({file_length})",
            window.offset
        ))),
        Some(size) if !size.is_multiple_of(SECTOR) => {
            Err(Error::caller("Specified size is not multiple of 512"))
        }
        Some(size) => Ok(size),
        None => Ok(available.next_multiple_of(SECTOR)),
    }
}

impl Node for Raw {
    fn driver(&self) -> &'static str {
        "raw"
    }

    fn filename(&self) -> String {
        self.filename.clone()
    }

    fn writable(&self) -> bool {
        self.file.writable()
    }

    fn length(&self) -> Result<u64> {
        Ok(*self.length.read())
    }

    fn request_alignment(&self) -> u64 {
        self.file.node().request_alignment()
    }

    fn info(&self) -> Result<ImageInfo> {
        Ok(ImageInfo {
            cluster_size: self.file.node().info()?.cluster_size,
            ..ImageInfo::default()
        })
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let stored = self.readable(offset, buffer)?;
        self.file.debug_event(DebugEvent::ReadAio);
        self.file.read_at(self.below(offset)?, stored)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.reserve(offset, data.len() as u64)?;
        self.check_header(offset, data.len(), |sector| {
            sector.copy_from_slice(&data[..sector.len()]);
        })?;
        self.file.debug_event(DebugEvent::WriteAio);
        self.file.write_at(self.below(offset)?, data)
    }

    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        turn: &mut dyn Turn,
    ) -> Result<()> {
        // Where the bytes go does not depend on the order.
        turn.pass();
        self.write_at_in_place(offset, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.reserve(offset, length)?;
        let flags = if self.discard {
            flags
        } else {
            flags.difference(ZeroFlags::MAY_UNMAP)
        };
        self.file.write_zeroes(self.below(offset)?, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        self.check_range(offset, length)?;
        if !self.discard {
            return Ok(());
        }
        self.file.discard(self.below(offset)?, length)
    }

    fn flush(&self) -> Result<()> {
        self.file.debug_event(DebugEvent::FlushToOs);
        self.file.debug_event(DebugEvent::FlushToDisk);
        self.file.flush()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        if self.window.size.is_some() {
            return Err(Error::unsupported("Cannot resize fixed-size raw disks"));
        }
        let file_length = length
            .checked_add(self.window.offset)
            .ok_or_else(|| Error::caller("Disk size too large for the chosen offset"))?;
        self.file.resize(file_length, preallocation)?;
        *self.length.write() = window_length(self.window, self.file.length()?)?;
        Ok(())
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let inside = self.length.read().saturating_sub(offset.bytes());
        let length = length.min(inside);
        if length == 0 {
            return Ok(Extent::default());
        }
        let host = self.below(offset)?;
        let below = self.file.extent(host, length)?;
        if below.length == 0 {
            // The end of a file whose length is no multiple of 512: the padding reads as zeros.
            return Ok(Extent {
                length,
                zero: true,
                allocated: true,
                host: Some(host),
                ..Extent::default()
            });
        }
        Ok(Extent {
            host: Some(host),
            ..below
        })
    }

    fn file(&self) -> Option<SharedNode> {
        Some(self.file.node())
    }

    fn close(&self) -> Result<()> {
        self.file.close()
    }
}
