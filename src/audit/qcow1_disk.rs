//! The clusters of a qcow v1 image: one state, tables read one by one.

use super::disk::{Cluster, Disk, Layer, Storage, Stored, Visit};
use super::qcow2_disk::numbers;
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow1::entry::Mapping;
use crate::format::qcow1::geometry::Geometry;
use crate::format::qcow1::header::{Crypt, HEADER_SIZE, Header};
use crate::node::HostFile;

/// Bytes of the L1 table in memory at a time.
const L1_PIECE: usize = 1 << 20;

/// A qcow v1 image whose header is known.
pub struct Qcow1Disk {
    file: HostFile,
    header: Header,
    geometry: Geometry,
    /// Encrypted or not.
    pub crypt: Crypt,
    /// Names a backing file.
    pub backing: Option<String>,
    file_length: u64,
    layers: [Layer; 1],
}

impl Qcow1Disk {
    /// Reads and checks the header (qcow1 §5).
    pub fn load(file: HostFile) -> Result<Self> {
        let mut bytes = [0; HEADER_SIZE];
        file.read_at(HostOffset::ZERO, &mut bytes)?;
        let header = Header::parse(&bytes)?;
        let crypt = header.crypt(None)?;
        let geometry = header.geometry()?;
        let name = header.backing_name_length()?;
        let backing = file.read_vec(header.backing_name_offset, name)?;
        let backing = backing.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            file_length: file.length()?,
            backing: (!backing.is_empty()).then(|| String::from_utf8_lossy(backing).into_owned()),
            file,
            crypt,
            layers: [Layer {
                name: "active".to_owned(),
                disk_size: geometry.size(),
                vm_state_size: 0,
            }],
            header,
            geometry,
        })
    }

    fn walk_table(&self, l1_index: u64, place: HostOffset, visit: Visit<'_>) -> Result<()> {
        let table = self.file.read_vec(place, self.geometry.l2_bytes())?;
        let start = l1_index.saturating_mul(self.geometry.l1_entry_covers());
        let size = self.geometry.cluster_size();
        for (index, entry) in (0..).zip(numbers(&table)) {
            let guest = GuestOffset::new(start.saturating_add(size * index));
            let (host, storage) = match Mapping::decode(entry, &self.geometry)? {
                Mapping::Unallocated => continue,
                Mapping::Normal(host) => (host, Storage::Normal(u32::MAX)),
                Mapping::Compressed { offset, length } => {
                    (offset, Storage::Compressed(length as u64))
                }
            };
            visit(&Cluster {
                guest,
                length: size.min(self.geometry.size().saturating_sub(guest.bytes())),
                stored: &[Stored {
                    host,
                    storage,
                    layers: &[0],
                }],
            })?;
        }
        Ok(())
    }
}

impl Disk for Qcow1Disk {
    fn file(&self) -> &HostFile {
        &self.file
    }

    fn cluster_size(&self) -> u64 {
        self.geometry.cluster_size()
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn walk(&self, visit: Visit<'_>) -> Result<()> {
        let mut tables_left = self.file_length / self.geometry.l2_bytes() as u64 + 1;
        let l1 = self.header.l1_table_offset;
        let end = self
            .geometry
            .l1_bytes()
            .min(self.file_length.saturating_sub(l1.bytes()));
        let mut at = 0;
        while at < end {
            let piece = usize::try_from(end - at).map_or(L1_PIECE, |rest| rest.min(L1_PIECE));
            let bytes = self.file.read_vec(l1.plus(at)?, piece)?;
            for (index, entry) in (at / 8..).zip(numbers(&bytes)) {
                if entry == 0 || entry >= self.file_length {
                    continue;
                }
                tables_left = tables_left.checked_sub(1).ok_or_else(|| {
                    Error::invalid("The L1 table names more L2 tables than fit in the file")
                })?;
                self.walk_table(index, HostOffset::new(entry), visit)?;
            }
            at += piece as u64;
        }
        Ok(())
    }
}
