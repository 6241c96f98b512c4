//! Who uses which cluster.

use std::collections::HashMap;

use super::image::{Image, numbers};
use super::{Fault, State};
use crate::base::{Error, HostOffset, Result};
use crate::format::qcow2::bitmap::directory;
use crate::format::qcow2::{Cluster, L1Entry, L2Entry, l2_entry};

/// More uses than this are not explained: about 1 GiB of memory.
const CLAIMS_MAX: usize = 1 << 24;
/// Bits that mean something in an L2 entry.
const KNOWN_L2_BITS: u64 = 0x80ff_ffff_ffff_fe01;

/// What a cluster is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The image's header.
    Header,
    /// An L1 table.
    L1,
    /// The L2 table of that L1 index.
    L2(u64),
    /// The refcount table.
    RefcountTable,
    /// A refcount block, by its index in the table.
    RefcountBlock(u64),
    /// The snapshot table.
    SnapshotTable,
    /// The LUKS header.
    Crypto,
    /// The bitmap directory.
    BitmapDirectory,
    /// A bitmap's table or data, by its index in the directory.
    Bitmap(u64),
    /// The guest cluster at that offset.
    Data(u64),
    /// The same, compressed; several fit into one cluster.
    Compressed(u64),
}

/// One use of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// As what.
    pub owner: Owner,
    /// By which state; `None` for what belongs to all.
    pub state: Option<u32>,
}

/// A use that is out of the ordinary by itself.
pub(super) struct Odd {
    pub(super) fault: Fault,
    pub(super) offset: u64,
    pub(super) claim: Claim,
}

/// All uses.
#[derive(Default)]
pub(super) struct References {
    /// Cluster and use, not in order.
    pub(super) claims: Vec<(u64, Claim)>,
    pub(super) odd: Vec<Odd>,
}

struct Collector<'a> {
    image: &'a Image<'a>,
    found: References,
}

pub(super) fn collect(image: &Image<'_>) -> Result<References> {
    let mut collector = Collector {
        image,
        found: References::default(),
    };
    collector.metadata()?;
    for (index, state) in image.states.iter().enumerate() {
        collector.state(u32::try_from(index).unwrap_or(u32::MAX), state)?;
    }
    Ok(collector.found)
}

impl Collector<'_> {
    /// A use of the bytes `offset..offset + length`.
    fn region(&mut self, offset: u64, length: u64, claim: &Claim) -> Result<()> {
        let cluster_size = self.image.geometry.cluster_size();
        if length == 0 {
            return Ok(());
        }
        let end = offset.saturating_add(length);
        if offset >= self.image.file_length.next_multiple_of(cluster_size) {
            self.odd(Fault::BehindEnd, offset, claim);
            return Ok(());
        }
        let file_clusters = self.image.file_length.div_ceil(cluster_size);
        let last = (end - 1) / cluster_size;
        for cluster in offset / cluster_size..=last.min(file_clusters) {
            if self.found.claims.len() >= CLAIMS_MAX {
                return Err(Error::unsupported(
                    "The image uses too many clusters to be explained",
                ));
            }
            self.found.claims.push((cluster, claim.clone()));
        }
        Ok(())
    }

    fn odd(&mut self, fault: Fault, offset: u64, claim: &Claim) {
        if self.found.odd.len() < CLAIMS_MAX {
            let claim = claim.clone();
            self.found.odd.push(Odd {
                fault,
                offset,
                claim,
            });
        }
    }

    fn metadata(&mut self) -> Result<()> {
        let image = self.image;
        let cluster_size = image.geometry.cluster_size();
        let common = |owner| Claim { owner, state: None };
        self.region(0, cluster_size, &common(Owner::Header))?;
        let header = &image.header;
        let table_bytes = u64::from(header.refcount_table_clusters) * cluster_size;
        let table = header.refcount_table_offset.bytes();
        self.region(table, table_bytes, &common(Owner::RefcountTable))?;
        for (index, &entry) in image.refcount_table.iter().enumerate() {
            let claim = common(Owner::RefcountBlock(index as u64));
            let place = entry & !0x1ff;
            if entry & 0x1ff != 0 {
                self.odd(Fault::ReservedBits, place, &claim);
            }
            if place == 0 {
                continue;
            }
            if place.is_multiple_of(cluster_size) {
                self.region(place, cluster_size, &claim)?;
            } else {
                self.odd(Fault::Unaligned, place, &claim);
            }
        }
        let snapshots = header.snapshots_offset.bytes();
        let snapshot_bytes = image.snapshot_table_bytes;
        self.region(snapshots, snapshot_bytes, &common(Owner::SnapshotTable))?;
        if let Some(crypto) = image.extensions.crypto {
            let place = crypto.offset.bytes();
            self.region(place, crypto.length, &common(Owner::Crypto))?;
        }
        self.bitmaps()
    }

    fn bitmaps(&mut self) -> Result<()> {
        let image = self.image;
        let Some(extension) = &image.extensions.bitmaps else {
            return Ok(());
        };
        let cluster_size = image.geometry.cluster_size();
        let common = |owner| Claim { owner, state: None };
        let (place, length) = (extension.directory_offset, extension.directory_bytes);
        self.region(place.bytes(), length, &common(Owner::BitmapDirectory))?;
        let bytes = usize::try_from(length).map_err(|_| Error::eio())?;
        let bytes = image.file.read_vec(place, bytes)?;
        // A directory that can't be read names nothing.
        let entries = directory::parse(&bytes, extension.count, &image.geometry, image.header.size);
        for (index, entry) in entries.unwrap_or_default().iter().enumerate() {
            let claim = common(Owner::Bitmap(index as u64));
            let table_bytes = u64::from(entry.table_entries) * 8;
            self.region(entry.table_offset.bytes(), table_bytes, &claim)?;
            let length = usize::try_from(table_bytes).map_err(|_| Error::eio())?;
            for data in numbers(&image.file.read_vec(entry.table_offset, length)?) {
                let place = data & 0x00ff_ffff_ffff_fe00;
                if place != 0 {
                    self.region(place, cluster_size, &claim)?;
                }
            }
        }
        Ok(())
    }

    fn state(&mut self, number: u32, state: &State) -> Result<()> {
        let cluster_size = self.image.geometry.cluster_size();
        let claim = |owner| Claim {
            owner,
            state: Some(number),
        };
        if !state.l1_offset.is_multiple_of(cluster_size) {
            self.odd(Fault::Unaligned, state.l1_offset, &claim(Owner::L1));
            return Ok(());
        }
        let l1_bytes = u64::from(state.l1_entries) * 8;
        self.region(state.l1_offset, l1_bytes, &claim(Owner::L1))?;
        let l1 = self.image.read_l1(state)?;
        // Many entries may name one table: it is read once.
        let mut tables: HashMap<u64, Vec<u8>> = HashMap::new();
        for (index, &raw) in l1.iter().enumerate() {
            let entry = L1Entry::from_raw(raw);
            let table_claim = claim(Owner::L2(index as u64));
            let Some(table) = entry.l2_table() else {
                continue;
            };
            if entry.reserved_bits() != 0 {
                self.odd(Fault::ReservedBits, table.bytes(), &table_claim);
            }
            if !table.is_aligned(cluster_size) {
                self.odd(Fault::Unaligned, table.bytes(), &table_claim);
                continue;
            }
            self.region(table.bytes(), cluster_size, &table_claim)?;
            if table.bytes() >= self.image.file_length {
                continue;
            }
            tables.retain(|place, _| *place == table.bytes());
            let bytes = match tables.remove(&table.bytes()) {
                Some(bytes) => bytes,
                None => self.read_table(table)?,
            };
            self.table(number, index as u64, &bytes)?;
            tables.insert(table.bytes(), bytes);
        }
        Ok(())
    }

    fn read_table(&self, place: HostOffset) -> Result<Vec<u8>> {
        let bytes = self.image.geometry.cluster_bytes();
        self.image.file.read_vec(place, bytes)
    }

    fn table(&mut self, number: u32, l1_index: u64, bytes: &[u8]) -> Result<()> {
        let geometry = self.image.geometry;
        let first = l1_index.saturating_mul(geometry.l2_coverage());
        let mut index = 0;
        while let Some(entry) = l2_entry::read(&geometry, bytes, index) {
            let within = (index as u64).saturating_mul(geometry.cluster_size());
            self.entry(number, first.saturating_add(within), entry)?;
            index += 1;
        }
        Ok(())
    }

    fn entry(&mut self, number: u32, guest: u64, entry: L2Entry) -> Result<()> {
        let geometry = self.image.geometry;
        let cluster_size = geometry.cluster_size();
        let claim = |owner| Claim {
            owner,
            state: Some(number),
        };
        match entry.cluster(&geometry) {
            Cluster::Unallocated | Cluster::ZeroPlain => Ok(()),
            Cluster::Compressed(place) => {
                let claim = claim(Owner::Compressed(guest));
                if entry.copied() {
                    self.odd(Fault::ReservedBits, place.host.bytes(), &claim);
                }
                self.region(place.host.bytes(), place.length, &claim)
            }
            Cluster::Normal(host) | Cluster::ZeroAllocated(host) => {
                let claim = claim(Owner::Data(guest));
                if entry.raw() & !KNOWN_L2_BITS != 0 {
                    self.odd(Fault::ReservedBits, host.bytes(), &claim);
                }
                if geometry.external_data() {
                    return Ok(());
                }
                if !host.is_aligned(cluster_size) {
                    self.odd(Fault::Unaligned, host.bytes(), &claim);
                }
                self.region(host.bytes(), cluster_size, &claim)
            }
        }
    }
}
