//! A LUKS volume's payload: what the file system stores of it counts as written.

use super::disk::{Cluster, Disk, Layer, Storage, Stored, Visit};
use crate::base::{GuestOffset, HostOffset, Result};
use crate::driver::luks::inspect_volume;
use crate::format::luks1::Header;
use crate::node::HostFile;

/// The payload is looked at in pieces of this size.
const PIECE: u64 = 64 << 10;
/// A piece's 1/32.
const PART: u64 = PIECE / 32;

/// A standalone volume, or a detached header without its payload.
pub struct LuksDisk {
    file: HostFile,
    /// Where the payload is, when the header is in a file of its own.
    payload: Option<HostFile>,
    /// The header.
    pub header: Header,
    /// Only a header: the payload is in a file that is not known.
    pub detached: bool,
    layers: [Layer; 1],
}

impl LuksDisk {
    /// Reads and checks the header (luks1 §5).
    pub fn load(file: HostFile) -> Result<Self> {
        let read = |offset: u64, bytes: &mut [u8]| file.read_at(HostOffset::new(offset), bytes);
        // A payload at 0 is what a detached header says.
        let loose = inspect_volume(&read, true)?;
        let detached = loose.payload_sector == 0;
        let header = if detached {
            loose
        } else {
            inspect_volume(&read, false)?
        };
        let disk_size = if detached {
            0
        } else {
            file.length()?.saturating_sub(header.payload_offset())
        };
        Ok(Self {
            file,
            payload: None,
            header,
            detached,
            layers: [Layer {
                name: "active".to_owned(),
                disk_size,
                vm_state_size: 0,
            }],
        })
    }

    /// The same volume, its payload in `payload`.
    pub fn with_payload(mut self, payload: HostFile) -> Result<Self> {
        let size = payload
            .length()?
            .saturating_sub(self.header.payload_offset());
        let [layer] = &mut self.layers;
        layer.disk_size = size;
        self.payload = Some(payload);
        self.detached = false;
        Ok(self)
    }

    /// The file that holds the header.
    pub const fn header_file(&self) -> &HostFile {
        &self.file
    }

    /// Which 1/32 of the piece at `host` the file system stores, and where it is worth asking again.
    fn stored_parts(&self, host: u64, length: u64) -> Result<u32> {
        let mut mask = 0_u32;
        let mut at = 0;
        while at < length {
            let extent = self
                .file()
                .extent(HostOffset::new(host + at), length - at)?;
            let step = extent.length.clamp(1, length - at);
            if extent.data {
                let last = (at + step - 1) / PART;
                for part in at / PART..=last.min(31) {
                    mask |= 1 << part;
                }
            }
            at += step;
        }
        Ok(mask)
    }
}

impl Disk for LuksDisk {
    fn file(&self) -> &HostFile {
        self.payload.as_ref().unwrap_or(&self.file)
    }

    fn cluster_size(&self) -> u64 {
        PIECE
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn walk(&self, visit: Visit<'_>) -> Result<()> {
        let (payload, end) = (self.header.payload_offset(), self.disk_end());
        let mut guest = 0;
        // Up to where everything is data: no need to ask again for each piece.
        let mut data_until = 0;
        while guest < end {
            let length = PIECE.min(end - guest);
            let host = payload.saturating_add(guest);
            let mut mask = u32::MAX;
            if guest + length > data_until {
                let extent = self.file().extent(HostOffset::new(host), end - guest)?;
                if !extent.data && extent.length >= length {
                    guest += extent.length / PIECE * PIECE;
                    guest += if extent.length < PIECE { PIECE } else { 0 };
                    continue;
                }
                if extent.data {
                    data_until = guest.saturating_add(extent.length);
                }
                if guest + length > data_until {
                    mask = self.stored_parts(host, length)?;
                }
            }
            visit(&Cluster {
                guest: GuestOffset::new(guest),
                length,
                stored: &[Stored {
                    host: HostOffset::new(host),
                    storage: Storage::Normal(mask),
                    layers: &[0],
                }],
            })?;
            guest += PIECE;
        }
        Ok(())
    }
}
