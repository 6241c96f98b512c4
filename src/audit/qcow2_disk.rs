//! The clusters of a qcow2 image: tables are read slice by slice, each L2 table once, with bounded memory.

use std::collections::HashSet;

use super::disk::{Cluster, Disk, Layer, Storage, Stored, Visit};
use crate::base::limits::{AUDIT_MAX_L1_BYTES, QCOW2_MAX_L1_BYTES, QCOW2_MAX_SNAPSHOT_TABLE_BYTES};
use crate::base::{Error, GuestOffset, HostOffset, Result};
use crate::format::qcow2::extension::Extensions;
use crate::format::qcow2::header::{
    CompressionType, Header, HeaderError, IncompatibleFeatures, Tolerance,
};
use crate::format::qcow2::lookup::{checked_cluster, l2_table_of};
use crate::format::qcow2::snapshot_table::{Snapshot, SnapshotTable, SnapshotTableError};
use crate::format::qcow2::{self, Geometry, L1Entry, l2_entry};
use crate::node::HostFile;

/// Bytes of L2 tables in memory at a time, all layers together.
const SLICE_BYTES: usize = 16 << 20;
/// The shortest piece of a table that is read.
const SLICE_MIN: usize = 512;

/// A qcow2 image whose header and L1 tables are known.
pub struct Qcow2Disk {
    file: HostFile,
    /// Where guest data is, when not in `file`.
    data: Option<HostFile>,
    /// The header.
    pub header: Header,
    /// Its extensions.
    pub extensions: Extensions,
    /// Shifts and masks.
    pub geometry: Geometry,
    /// Of compressed clusters.
    pub compression: CompressionType,
    /// Bytes of the file.
    pub file_length: u64,
    /// Bytes of the file that guest data is in.
    pub data_length: u64,
    /// The name of the backing file.
    pub backing: Option<String>,
    layers: Vec<Layer>,
    l1_tables: Vec<Vec<u64>>,
    disk_end: u64,
}

/// One L2 table of an L1 index, and the layers that have it.
struct Table {
    place: HostOffset,
    layers: Vec<usize>,
}

impl Qcow2Disk {
    /// Reads header, snapshot table and L1 tables, with the checks of an open (qcow2 §5).
    pub fn load(file: HostFile) -> Result<Self> {
        let start = file.read_vec(HostOffset::ZERO, 512)?;
        let first_cluster = file.read_vec(HostOffset::ZERO, Header::cluster_size_of(&start)?)?;
        let header = Header::parse(&first_cluster)?;
        let compression = header.validate_compression()?;
        header.validate_features(&first_cluster)?;
        header.validate_units()?;
        header.validate_tables(Tolerance::default())?;
        header.validate_l1_length()?;
        let disk_size = header.disk_size()?;
        let (extensions, parsed) = Extensions::parse(&first_cluster, &header);
        parsed?;
        let backing = header
            .backing_name(&first_cluster)?
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let extended = header
            .incompatible
            .contains(IncompatibleFeatures::EXTENDED_L2);
        let geometry = Geometry::new(header.cluster_bits, header.refcount_order, extended)
            .ok_or(HeaderError::RefcountOrder)?
            .with_external_data(has_data_file(&header));
        let mut disk = Self {
            file_length: file.length()?,
            data_length: file.length()?,
            file,
            data: None,
            extensions,
            geometry,
            compression,
            backing,
            layers: Vec::new(),
            l1_tables: Vec::new(),
            disk_end: disk_size,
            header,
        };
        disk.add_layer(
            Layer {
                name: "active".to_owned(),
                disk_size,
                vm_state_size: 0,
            },
            disk.header.l1_offset,
            disk.header.l1_entries,
        )?;
        for snapshot in disk.read_snapshots()? {
            let layer = Layer {
                name: layer_name(&snapshot),
                disk_size: snapshot
                    .disk_size
                    .unwrap_or(disk_size)
                    .min(i64::MAX.unsigned_abs()),
                vm_state_size: snapshot.vm_state_size,
            };
            disk.header.validate_table(
                snapshot.l1_offset,
                u64::from(snapshot.l1_entries) * 8,
                QCOW2_MAX_L1_BYTES,
                "Snapshot L1 table",
            )?;
            disk.disk_end = disk.disk_end.max(layer.disk_size);
            disk.add_layer(layer, snapshot.l1_offset, snapshot.l1_entries)?;
        }
        Ok(disk)
    }

    /// The same image, its guest data read from `data`.
    pub fn with_data_file(mut self, data: HostFile) -> Result<Self> {
        self.data_length = data.length()?;
        self.data = Some(data);
        Ok(self)
    }

    /// Whether guest data can be read: it is in the image itself, or its file was named.
    pub const fn data_is_known(&self) -> bool {
        self.data.is_some() || !self.geometry.external_data()
    }

    /// Whether guest data lies in a file of its own.
    pub fn has_data_file(&self) -> bool {
        has_data_file(&self.header)
    }

    /// The file that holds the metadata.
    pub const fn image_file(&self) -> &HostFile {
        &self.file
    }

    /// The snapshot table, read as far as it goes.
    fn read_snapshots(&self) -> Result<Vec<Snapshot>> {
        let count = self.header.snapshot_count;
        let mut length = 64 << 10;
        if count == 0 {
            return Ok(Vec::new());
        }
        loop {
            let bytes = self.file.read_vec(self.header.snapshots_offset, length)?;
            match SnapshotTable::parse(&bytes, count, false) {
                Ok(table) => return Ok(table.snapshots),
                Err(SnapshotTableError::Need(more))
                    if more as u64 <= 2 * QCOW2_MAX_SNAPSHOT_TABLE_BYTES =>
                {
                    length = more.max(length * 2);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn add_layer(&mut self, layer: Layer, place: HostOffset, entries: u32) -> Result<()> {
        let held: usize = self.l1_tables.iter().map(Vec::len).sum();
        let bytes = (held as u64).saturating_add(u64::from(entries)) * 8;
        if bytes > AUDIT_MAX_L1_BYTES {
            return Err(Error::unsupported(format!(
                "The L1 tables of {} states take more than {} MiB: too much to audit",
                self.layers.len() + 1,
                AUDIT_MAX_L1_BYTES >> 20
            )));
        }
        let length = usize::try_from(u64::from(entries) * 8).map_err(|_| Error::eio())?;
        let bytes = self.file.read_vec(place, length)?;
        self.l1_tables.push(numbers(&bytes).collect());
        self.layers.push(layer);
        Ok(())
    }

    /// The distinct L2 tables of an L1 index.
    fn tables_at(&self, index: usize, longest_first: &[usize]) -> Result<Vec<Table>> {
        let mut tables: Vec<Table> = Vec::new();
        let mut found: Vec<(HostOffset, usize)> = Vec::new();
        for &layer in longest_first {
            // Those behind are shorter still: many empty snapshots cost nothing.
            let l1 = self.l1_tables.get(layer);
            let Some(&raw) = l1.and_then(|l1| l1.get(index)) else {
                break;
            };
            let entry = L1Entry::from_raw(raw);
            let table = l2_table_of(&self.geometry, entry, index as u64)
                .map_err(|corruption| Error::invalid(corruption.to_string()))?;
            found.extend(table.map(|place| (place, layer)));
        }
        found.sort_unstable();
        for (place, layer) in found {
            match tables.last_mut() {
                Some(last) if last.place == place => last.layers.push(layer),
                _ => tables.push(Table {
                    place,
                    layers: vec![layer],
                }),
            }
        }
        // In the order of their first layer: the active state's copy comes first.
        tables.sort_by_key(|table| table.layers.first().copied());
        Ok(tables)
    }

    /// One L1 index, in slices.
    fn walk_tables(&self, index: usize, tables: &[Table], visit: Visit<'_>) -> Result<()> {
        let cluster_bytes = self.geometry.cluster_bytes();
        let per_table = (SLICE_BYTES / tables.len()).clamp(SLICE_MIN, cluster_bytes);
        // A power of two, so that slices end with the table.
        let slice = 1_usize << per_table.ilog2();
        let start = (index as u64).saturating_mul(self.geometry.l2_coverage());
        let entry_bytes = self.geometry.l2_entry_bytes();
        let mut slices: Vec<Vec<u8>> = vec![vec![0; slice]; tables.len()];
        for at in (0..cluster_bytes).step_by(slice) {
            for (table, bytes) in tables.iter().zip(&mut slices) {
                self.file.read_at(table.place.plus(at as u64)?, bytes)?;
            }
            if slices.iter().flatten().all(|byte| *byte == 0) {
                continue;
            }
            for entry in 0..slice / entry_bytes {
                let l2_index = at / entry_bytes + entry;
                let guest = GuestOffset::new(start.saturating_add(
                    (l2_index as u64).saturating_mul(self.geometry.cluster_size()),
                ));
                self.visit_entry(guest, entry, tables, &slices, visit)?;
            }
        }
        Ok(())
    }

    fn visit_entry(
        &self,
        guest: GuestOffset,
        entry: usize,
        tables: &[Table],
        slices: &[Vec<u8>],
        visit: Visit<'_>,
    ) -> Result<()> {
        if let ([table], [bytes]) = (tables, slices) {
            return match self.decode(table.place, bytes, entry)? {
                None => Ok(()),
                Some((host, storage)) => visit(&Cluster {
                    guest,
                    length: self.visible_length(guest),
                    stored: &[Stored {
                        host,
                        storage,
                        layers: &table.layers,
                    }],
                }),
            };
        }
        let mut found: Vec<(HostOffset, Storage, usize)> = Vec::new();
        for (number, (table, bytes)) in tables.iter().zip(slices).enumerate() {
            let stored = self.decode(table.place, bytes, entry)?;
            found.extend(stored.map(|(host, storage)| (host, storage, number)));
        }
        if found.is_empty() {
            return Ok(());
        }
        found.sort_unstable();
        let mut owners: Vec<Vec<usize>> = Vec::new();
        let mut places: Vec<(HostOffset, Storage)> = Vec::new();
        for (host, storage, number) in found {
            let layers = tables.get(number).map_or(&[][..], |table| &table.layers);
            match (places.last(), owners.last_mut()) {
                (Some(last), Some(owner)) if *last == (host, storage) => owner.extend(layers),
                _ => {
                    places.push((host, storage));
                    owners.push(layers.to_vec());
                }
            }
        }
        for owner in &mut owners {
            owner.sort_unstable();
        }
        let mut stored: Vec<Stored<'_>> = places
            .iter()
            .zip(&owners)
            .map(|(&(host, storage), layers)| Stored {
                host,
                storage,
                layers,
            })
            .collect();
        stored.sort_by_key(|one| one.layers.first().copied());
        let cluster = Cluster {
            guest,
            length: self.visible_length(guest),
            stored: &stored,
        };
        visit(&cluster)
    }

    /// Bytes of a guest cluster in front of the end of the disk; VM state is taken whole.
    fn visible_length(&self, guest: GuestOffset) -> u64 {
        let size = self.geometry.cluster_size();
        match self.disk_end().saturating_sub(guest.bytes()) {
            0 => size,
            rest => rest.min(size),
        }
    }

    fn decode(
        &self,
        table: HostOffset,
        bytes: &[u8],
        entry: usize,
    ) -> Result<Option<(HostOffset, Storage)>> {
        if self.geometry.extended_l2() {
            return self.decode_extended(bytes, entry);
        }
        let cluster = checked_cluster(&self.geometry, self.header.version, table, bytes, entry)
            .map_err(|corruption| Error::invalid(corruption.to_string()))?;
        Ok(match cluster {
            Some(qcow2::Cluster::Normal(host)) => Some((host, Storage::Normal(u32::MAX))),
            Some(qcow2::Cluster::ZeroAllocated(host)) => Some((host, Storage::Kept)),
            Some(qcow2::Cluster::Compressed(data)) => {
                Some((data.host, Storage::Compressed(data.length)))
            }
            _ => None,
        })
    }

    /// 16 bytes: a place, and two bits for each subcluster (qcow2 §3).
    fn decode_extended(&self, bytes: &[u8], entry: usize) -> Result<Option<(HostOffset, Storage)>> {
        let Some(entry) = l2_entry::read(&self.geometry, bytes, entry) else {
            return Ok(None);
        };
        let host = match entry.cluster(&self.geometry) {
            qcow2::Cluster::Normal(host) => host,
            qcow2::Cluster::Compressed(data) => {
                return Ok(Some((data.host, Storage::Compressed(data.length))));
            }
            _ => return Ok(None),
        };
        if !host.is_aligned(self.geometry.cluster_size()) {
            return Err(Error::invalid(format!(
                "Cluster allocation offset {host} unaligned"
            )));
        }
        let bits = entry.subclusters();
        if bits.is_contradictory() {
            return Err(Error::invalid(format!(
                "The subclusters of the cluster at {host} are both data and zeros"
            )));
        }
        Ok(Some(match bits.allocated() {
            0 => (host, Storage::Kept),
            mask => (host, Storage::Normal(mask)),
        }))
    }
}

impl Disk for Qcow2Disk {
    fn file(&self) -> &HostFile {
        self.data.as_ref().unwrap_or(&self.file)
    }

    fn cluster_size(&self) -> u64 {
        self.geometry.cluster_size()
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn disk_end(&self) -> u64 {
        self.disk_end
    }

    fn walk(&self, visit: Visit<'_>) -> Result<()> {
        let entries = |layer: &usize| self.l1_tables.get(*layer).map_or(0, Vec::len);
        let mut longest_first: Vec<usize> = (0..self.l1_tables.len()).collect();
        longest_first.sort_by_key(|layer| std::cmp::Reverse(entries(layer)));
        let longest = longest_first.first().map_or(0, entries);
        // Each table belongs to one L1 index: one that is used again is a bomb, not an image.
        let mut seen = HashSet::new();
        for index in 0..longest {
            let mut tables = self.tables_at(index, &longest_first)?;
            let size = self.geometry.cluster_size();
            // A table in a hole of the file is empty.
            tables.retain(|table| {
                let extent = self.file.extent(table.place, size);
                !extent.is_ok_and(|extent| extent.zero && extent.length >= size)
                    && table.place.bytes() < self.file_length
            });
            for table in &tables {
                if !seen.insert(table.place) {
                    return Err(Error::invalid(format!(
                        "The L2 table at {} is used for two parts of the disk",
                        table.place
                    )));
                }
            }
            if !tables.is_empty() {
                self.walk_tables(index, &tables, visit)?;
            }
        }
        Ok(())
    }
}

fn has_data_file(header: &Header) -> bool {
    header
        .incompatible
        .contains(IncompatibleFeatures::DATA_FILE)
}

/// The big-endian words of a table.
pub fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_be_bytes(*word))
}

/// Id and name as people know them. Names are the image's: what a terminal would act on is replaced.
fn layer_name(snapshot: &Snapshot) -> String {
    let text = |bytes: &[u8]| -> String {
        let decoded = String::from_utf8_lossy(bytes);
        let shown = decoded
            .chars()
            .map(|one| if one.is_control() { '\u{fffd}' } else { one });
        shown.collect()
    };
    let (id, name) = (text(&snapshot.id), text(&snapshot.name));
    if name.is_empty() || name == id {
        format!("snapshot {id}")
    } else {
        format!("snapshot {id} ({name})")
    }
}
