//! The standalone driver: header, key areas, payload in one file; or the header in a file of its own (luks1 §6).

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLock;

use super::amend::{AmendContext, amend_volume};
use super::create_options::LuksCreateOptions;
use super::info::info_value;
use super::slot_options::KeySlotOptions;
use super::volume::{
    HeaderAccess, LuksVolume, UnlockOptions, create_volume, inspect_volume, open_volume,
    plan_volume,
};
use crate::base::error::errno;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::limits::LUKS_MAX_ITERATIONS;
use crate::base::{Error, GuestOffset, HostOffset, IvSector, PayloadOffset, Result};
use crate::crypto::cipher::{IvObserver, SharedCipher};
use crate::crypto::secret::{Secret, SecretStore};
use crate::format::luks1::Header;
use crate::node::{
    Access, AmendRequest, DebugEvent, Extent, HostFile, ImageInfo, Node, Permissions,
    Preallocation, SharedNode, Turn, ZeroFlags,
};

const SECTOR: u64 = SECTOR_SIZE as u64;
/// Bytes read, ciphered and written in one go: large enough for the file system, small enough for the cache.
const CHUNK: u64 = 1 << 20;

/// How a standalone volume is opened.
#[derive(Clone, Default)]
pub struct LuksOpenOptions {
    /// No data will be read or written (`info`): no key is needed.
    pub no_io: bool,
    /// The passphrase.
    pub key: Option<Secret>,
    /// The file that holds the header, when it is not in front of the payload.
    pub detached_header: Option<HostFile>,
    /// The name that messages show; the file's when not given.
    pub filename: Option<String>,
    /// Cap on PBKDF2 iterations; [`crate::base::limits::LUKS_MAX_ITERATIONS`] when not given.
    pub max_iterations: Option<u32>,
    /// Who watches the IVs.
    pub observer: Option<Arc<dyn IvObserver>>,
}

/// An open standalone LUKS1 volume.
pub struct Luks {
    file: HostFile,
    header_file: Option<HostFile>,
    filename: String,
    header: RwLock<Header>,
    detached: bool,
    payload_offset: u64,
    /// `None` when opened without a key.
    cipher: Option<SharedCipher>,
    max_iterations: u32,
    /// The passphrase it was opened with: a change of key slots needs it.
    key: Option<Secret>,
    length: RwLock<u64>,
    /// Writes of whole sectors share it; a write that reads, changes and writes back a sector has it alone.
    whole_sectors: RwLock<()>,
}

impl Luks {
    /// Opens the volume in `file`.
    pub fn open(file: HostFile, options: LuksOpenOptions) -> Result<Arc<Self>> {
        let header_file = options.detached_header;
        let detached = header_file.is_some();
        let holder = header_file.clone().unwrap_or_else(|| file.clone());
        let read = |offset: u64, buffer: &mut [u8]| {
            holder
                .read_at(HostOffset::new(offset), buffer)
                .map_err(|error| error.prefixed("Could not read encryption header: "))
        };
        let max_iterations = options.max_iterations.unwrap_or(LUKS_MAX_ITERATIONS);
        let (header, cipher) = if options.no_io {
            (inspect_volume(&read, detached)?, None)
        } else {
            let unlock = UnlockOptions {
                detached,
                max_iterations,
                observer: options.observer,
                ..UnlockOptions::default()
            };
            let LuksVolume { header, cipher } = open_volume(&read, options.key.as_ref(), &unlock)?;
            (header, Some(cipher))
        };
        let filename = options.filename.unwrap_or_else(|| file.filename());
        let length = payload_length(&file, header.payload_offset())?;
        Ok(Arc::new(Self {
            file,
            header_file,
            filename,
            detached,
            payload_offset: header.payload_offset(),
            header: RwLock::new(header),
            cipher,
            max_iterations,
            key: options.key,
            length: RwLock::new(length),
            whole_sectors: RwLock::new(()),
        }))
    }

    /// Makes a volume of `size` bytes in an empty file: first the space, then the key area, the header last. On an
    /// error the file is left as it is then.
    pub fn create(
        file: &HostFile,
        size: u64,
        preallocation: Preallocation,
        options: &LuksCreateOptions,
        key: &Secret,
    ) -> Result<()> {
        let attached = LuksCreateOptions {
            detached: false,
            ..*options
        };
        let length = file_length(plan_volume(&attached)?, size)?;
        let pieces = new_header_pieces(&attached, key)?;
        file.resize(length, reserved(preallocation))?;
        write_pieces(file, &pieces)
    }

    /// Makes a volume of `size` bytes whose header lies in `header` and whose payload is the whole of `file`
    /// (luks1 §6); both are empty.
    pub fn create_detached(
        header: &HostFile,
        file: &HostFile,
        size: u64,
        preallocation: Preallocation,
        options: &LuksCreateOptions,
        key: &Secret,
    ) -> Result<()> {
        let detached = LuksCreateOptions {
            detached: true,
            ..*options
        };
        let area = plan_volume(&detached)?;
        let length = file_length(0, size)?;
        let pieces = new_header_pieces(&detached, key)?;
        file.resize(length, reserved(preallocation))?;
        header.resize(area, Preallocation::Off)?;
        write_pieces(header, &pieces)
    }

    /// The volume's header.
    pub fn header(&self) -> Header {
        self.header.read().clone()
    }

    /// Adds or erases key slots. `unlock`: the passphrase that the volume was opened with.
    pub fn amend_key_slots(
        &self,
        unlock: &Secret,
        secrets: &SecretStore,
        options: &KeySlotOptions,
    ) -> Result<()> {
        let holder = self.header_file.as_ref().unwrap_or(&self.file);
        let context = AmendContext {
            unlock,
            secrets,
            detached: self.detached,
            max_iterations: self.max_iterations,
        };
        // One change at a time; payload I/O goes on meanwhile, it does not touch the header.
        let mut header = self.header.write();
        let mut access = HeaderAccess {
            read: &|offset, buffer| holder.read_at(HostOffset::new(offset), buffer),
            write: &mut |offset, data| holder.write_at(HostOffset::new(offset), data),
            flush: &mut || holder.flush(),
        };
        let changed = amend_volume(&mut access, &context, options);
        // A change that failed in the middle may have reached the disk.
        match inspect_volume(access.read, self.detached) {
            Ok(now) => *header = now,
            Err(unreadable) => return changed.and(Err(unreadable)),
        }
        changed.map(|_| ())
    }

    fn cipher(&self) -> Result<&SharedCipher> {
        // Nodes opened for `info` are asked for no data.
        self.cipher
            .as_ref()
            .ok_or_else(|| super::volume::missing_key(""))
    }

    /// Where a byte of the payload lies, and its run's first IV.
    fn place(&self, offset: GuestOffset) -> Result<(HostOffset, IvSector)> {
        let host = HostOffset::new(offset.plus(self.payload_offset)?.bytes());
        let first = IvSector::from_payload(PayloadOffset::new(offset.bytes()));
        Ok((host, first))
    }

    fn check_range(&self, offset: GuestOffset, length: u64) -> Result<()> {
        if offset.plus(length)?.bytes() > *self.length.read() {
            return Err(Error::eio());
        }
        Ok(())
    }

    /// Reads whole sectors.
    fn read_sectors(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let (host, first) = self.place(offset)?;
        self.file.read_at(host, buffer)?;
        self.cipher()?.decrypt(first, buffer);
        Ok(())
    }

    /// Encrypts whole sectors in place and writes them.
    fn write_sectors(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        let (host, first) = self.place(offset)?;
        self.cipher()?.encrypt(first, data);
        self.file.write_at_in_place(host, data)
    }

    /// Writes what `fill` puts into buffers: it is called with the place of each buffer's first byte in the
    /// request, for one buffer after the other.
    fn write_filled(
        &self,
        offset: GuestOffset,
        length: u64,
        mut fill: impl FnMut(u64, &mut [u8]),
    ) -> Result<()> {
        let mut buffer = Vec::new();
        for chunk in chunks(offset, length) {
            let partial = !chunk.is_whole();
            let shared = (!partial).then(|| self.whole_sectors.read());
            let alone = partial.then(|| self.whole_sectors.write());
            buffer.resize(to_usize(chunk.sectors_length())?, 0);
            if partial {
                self.read_sectors(chunk.sectors_start(), &mut buffer)?;
            }
            let inside = to_range(chunk.inside())?;
            let Some(place) = buffer.get_mut(inside) else {
                return Err(Error::eio());
            };
            fill(chunk.start - offset.bytes(), place);
            self.write_sectors(chunk.sectors_start(), &mut buffer)?;
            drop((shared, alone));
        }
        Ok(())
    }
}

/// Nothing is mapped here, so that reserving metadata is reserving nothing (luks1 §3).
const fn reserved(preallocation: Preallocation) -> Preallocation {
    match preallocation {
        Preallocation::Metadata => Preallocation::Off,
        other => other,
    }
}

/// What a new header consists of, by offset. Options that can't be fail before a file changes; iterations are counted
/// before, too.
fn new_header_pieces(options: &LuksCreateOptions, key: &Secret) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut pieces = Vec::new();
    create_volume(options, key, None, &mut |offset, data| {
        pieces.push((offset, data.to_vec()));
        Ok(())
    })?;
    Ok(pieces)
}

fn write_pieces(file: &HostFile, pieces: &[(u64, Vec<u8>)]) -> Result<()> {
    pieces
        .iter()
        .try_for_each(|(offset, data)| file.write_at(HostOffset::new(*offset), data))
}

/// The file's length when its payload is `size` bytes.
fn file_length(payload_offset: u64, size: u64) -> Result<u64> {
    payload_offset
        .checked_add(size)
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or_else(|| {
            Error::caller("The requested file size is too large").with_errno(errno::EFBIG)
        })
}

/// The visible length: what lies behind the header, in whole sectors.
fn payload_length(file: &HostFile, payload_offset: u64) -> Result<u64> {
    file.length()?
        .next_multiple_of(SECTOR)
        .checked_sub(payload_offset)
        .ok_or_else(|| {
            Error::invalid("Could not refresh total sector count: Input/output error")
                .with_errno(errno::EIO)
        })
}

/// A piece of a request, and the whole sectors around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    start: u64,
    end: u64,
}

impl Chunk {
    const fn is_whole(self) -> bool {
        self.start.is_multiple_of(SECTOR) && self.end.is_multiple_of(SECTOR)
    }

    const fn sectors_start(self) -> GuestOffset {
        GuestOffset::new(self.start - self.start % SECTOR)
    }

    const fn sectors_length(self) -> u64 {
        self.end.next_multiple_of(SECTOR) - self.sectors_start().bytes()
    }

    /// The piece's place among its sectors' bytes.
    const fn inside(self) -> Range<u64> {
        let start = self.start % SECTOR;
        start..start + (self.end - self.start)
    }
}

/// Cuts a request so that only its first and last sector can be partial, each in a chunk of its own.
fn chunks(offset: GuestOffset, length: u64) -> impl Iterator<Item = Chunk> {
    let end = offset.bytes() + length;
    let mut start = offset.bytes();
    std::iter::from_fn(move || {
        if start >= end {
            return None;
        }
        let next = if start.is_multiple_of(SECTOR) && end - start >= SECTOR {
            let whole_end = end - end % SECTOR;
            whole_end.min(start + CHUNK)
        } else {
            end.min((start + 1).next_multiple_of(SECTOR))
        };
        let chunk = Chunk { start, end: next };
        start = next;
        Some(chunk)
    })
}

fn to_usize(length: u64) -> Result<usize> {
    usize::try_from(length).map_err(|_| Error::bare(errno::EFBIG))
}

fn to_range(range: Range<u64>) -> Result<Range<usize>> {
    Ok(to_usize(range.start)?..to_usize(range.end)?)
}

/// The next `length` bytes of `rest`, and what follows.
fn split_next(rest: &mut [u8], length: u64) -> Result<(&mut [u8], &mut [u8])> {
    rest.split_at_mut_checked(to_usize(length)?)
        .ok_or_else(Error::eio)
}

impl Node for Luks {
    fn driver(&self) -> &'static str {
        "luks"
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
        SECTOR.max(self.file.node().request_alignment())
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let length = buffer.len() as u64;
        self.check_range(offset, length)?;
        let mut rest = buffer;
        for chunk in chunks(offset, length) {
            let (piece, tail) = split_next(rest, chunk.end - chunk.start)?;
            rest = tail;
            if chunk.is_whole() {
                self.read_sectors(chunk.sectors_start(), piece)?;
            } else {
                let mut sector = [0; SECTOR_SIZE];
                self.read_sectors(chunk.sectors_start(), &mut sector)?;
                let inside = sector
                    .get(to_range(chunk.inside())?)
                    .ok_or_else(Error::eio)?;
                piece.copy_from_slice(inside);
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.check_range(offset, data.len() as u64)?;
        let mut rest = data;
        self.write_filled(offset, data.len() as u64, |_, place| {
            let (head, tail) = rest.split_at(place.len());
            place.copy_from_slice(head);
            rest = tail;
        })
    }

    fn write_at_in_place(&self, offset: GuestOffset, data: &mut [u8]) -> Result<()> {
        let length = data.len() as u64;
        let request = Chunk {
            start: offset.bytes(),
            end: offset.plus(length)?.bytes(),
        };
        if !request.is_whole() {
            return self.write_at(offset, data);
        }
        self.check_range(offset, length)?;
        let _shared = self.whole_sectors.read();
        let mut rest = data;
        for chunk in chunks(offset, length) {
            let (piece, tail) = split_next(rest, chunk.end - chunk.start)?;
            rest = tail;
            self.write_sectors(chunk.sectors_start(), piece)?;
        }
        Ok(())
    }

    fn write_in_turn(
        &self,
        offset: GuestOffset,
        data: &mut [u8],
        _turn: &mut dyn Turn,
    ) -> Result<()> {
        // Every sector has its place: nothing is allocated, so no order matters.
        self.write_at_in_place(offset, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        if flags.contains(ZeroFlags::NO_FALLBACK) {
            return Err(Error::bare(errno::ENOTSUP));
        }
        self.check_range(offset, length)?;
        self.write_filled(offset, length, |_, place| place.fill(0))
    }

    fn flush(&self) -> Result<()> {
        self.file.debug_event(DebugEvent::FlushToOs);
        self.file.debug_event(DebugEvent::FlushToDisk);
        self.file.flush()
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        let file_length = file_length(self.payload_offset, length)?;
        let mut visible = self.length.write();
        self.file.resize(file_length, preallocation)?;
        *visible = payload_length(&self.file, self.payload_offset)?;
        Ok(())
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let inside = self.length.read().saturating_sub(offset.bytes());
        Ok(Extent {
            length: length.min(inside),
            data: true,
            allocated: true,
            ..Extent::default()
        })
    }

    fn info(&self) -> Result<ImageInfo> {
        Ok(ImageInfo {
            encrypted: true,
            specific: Some(("luks", info_value(&self.header.read()))),
            ..ImageInfo::default()
        })
    }

    fn amend(&self, request: &AmendRequest<'_>) -> Result<()> {
        let change = request.key_slots.clone().unwrap_or_default();
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| super::volume::missing_key(""))?;
        let options = KeySlotOptions::from_change(&change, request.force)?;
        // Nobody else may look at the header meanwhile, though several may use the volume.
        let used = Permissions::CONSISTENT_READ | Permissions::WRITE;
        let alone = Access {
            used,
            unshared: used,
        };
        self.set_access(alone)?;
        let amended = self.amend_key_slots(key, request.secrets, &options);
        let shared = Access {
            used,
            ..Access::default()
        };
        self.set_access(shared).and(amended)
    }

    fn file(&self) -> Option<SharedNode> {
        Some(self.file.node())
    }

    fn allocated_bytes(&self) -> Option<u64> {
        let nodes = self.children();
        nodes
            .iter()
            .map(|(_, node)| node.allocated_bytes())
            .sum::<Option<u64>>()
    }

    fn children(&self) -> Vec<(String, SharedNode)> {
        let header = self.header_file.as_ref().map(|file| ("header", file));
        header
            .into_iter()
            .chain([("file", &self.file)])
            .map(|(edge, file)| (edge.to_owned(), file.node()))
            .collect()
    }

    fn close(&self) -> Result<()> {
        let header = self.header_file.as_ref().map_or(Ok(()), HostFile::close);
        self.file.close().and(header)
    }
}

#[cfg(test)]
mod tests;
