//! A brute-force count of everything that refers to a cluster, from the file's bytes alone: none of the library's
//! code, so that a mistake can't hide on both sides.

use std::collections::BTreeMap;

const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
const CRYPTO_HEADER: u64 = 0x0537_be77;

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// A big-endian number; zeros behind the end.
    fn number(&self, offset: u64, width: u64) -> u64 {
        (offset..offset + width).fold(0, |value, at| {
            let byte = usize::try_from(at).ok().and_then(|at| self.0.get(at));
            value << 8 | u64::from(byte.copied().unwrap_or(0))
        })
    }

    fn be64(&self, offset: u64) -> u64 {
        self.number(offset, 8)
    }

    fn be32(&self, offset: u64) -> u64 {
        self.number(offset, 4)
    }
}

/// A walk over a qcow2 image.
struct Walk<'a> {
    file: Bytes<'a>,
    cluster: u64,
    cluster_bits: u64,
    external_data: bool,
    /// Bytes of an L2 entry.
    entry: u64,
    references: BTreeMap<u64, u64>,
    /// Entries whose "copied" flag has to tell whether the count is one: cluster, flag, what it is.
    flags: Vec<(u64, bool, String)>,
}

/// What is wrong with the refcounts of a qcow2 image.
pub fn qcow2(bytes: &[u8]) -> Result<(), String> {
    let file = Bytes(bytes);
    let cluster_bits = file.be32(20);
    let version = file.be32(4);
    let mut walk = Walk {
        cluster: 1 << cluster_bits,
        cluster_bits,
        external_data: version >= 3 && file.be64(72) & 4 != 0,
        entry: if version >= 3 && file.be64(72) & 16 != 0 {
            16
        } else {
            8
        },
        references: BTreeMap::new(),
        flags: Vec::new(),
        file,
    };
    walk.region(0, walk.cluster);
    walk.tree(walk.file.be64(40), walk.file.be32(36), true);
    walk.snapshots();
    walk.crypto_header(version);
    let refcount_order = if version >= 3 { walk.file.be32(96) } else { 4 };
    let stored = walk.stored_counts(refcount_order);
    walk.compare(&stored)
}

impl Walk<'_> {
    fn region(&mut self, offset: u64, length: u64) {
        if length > 0 {
            for cluster in offset >> self.cluster_bits..=(offset + length - 1) >> self.cluster_bits
            {
                *self.references.entry(cluster).or_default() += 1;
            }
        }
    }

    fn tree(&mut self, l1: u64, entries: u64, active: bool) {
        self.region(l1, entries * 8);
        for index in 0..entries {
            let entry = self.file.be64(l1 + index * 8);
            let table = entry & OFFSET_MASK;
            if table == 0 {
                continue;
            }
            self.region(table, self.cluster);
            if active {
                let what = format!("L1 entry {index}");
                self.flags
                    .push((table >> self.cluster_bits, entry & COPIED != 0, what));
            }
            for index in 0..self.cluster / self.entry {
                let place = table + index * self.entry;
                self.l2_entry(self.file.be64(place), active, place);
            }
        }
    }

    fn l2_entry(&mut self, entry: u64, active: bool, place: u64) {
        if entry & COMPRESSED != 0 {
            let offset_bits = 62 - (self.cluster_bits - 8);
            let offset = entry & ((1 << offset_bits) - 1);
            let sectors = ((entry & (COMPRESSED - 1)) >> offset_bits) + 1;
            self.region(offset, sectors * 512 - offset % 512);
        } else if entry & OFFSET_MASK != 0 && !self.external_data {
            let host = entry & OFFSET_MASK;
            self.region(host, self.cluster);
            if active {
                let what = format!("L2 entry {entry:#x} at {place:#x}");
                self.flags
                    .push((host >> self.cluster_bits, entry & COPIED != 0, what));
            }
        }
    }

    fn snapshots(&mut self) {
        let start = self.file.be64(64);
        let mut entry = start;
        for _ in 0..self.file.be32(60) {
            self.tree(self.file.be64(entry), self.file.be32(entry + 8), false);
            let names = self.file.number(entry + 12, 2) + self.file.number(entry + 14, 2);
            let length = 40 + self.file.be32(entry + 36) + names;
            entry = (entry + length).next_multiple_of(8);
        }
        self.region(start, entry - start);
    }

    fn crypto_header(&mut self, version: u64) {
        let mut at = if version >= 3 {
            self.file.be32(100)
        } else {
            72
        };
        while at < self.cluster && self.file.be32(at) != 0 {
            if self.file.be32(at) == CRYPTO_HEADER {
                let (offset, length) = (self.file.be64(at + 8), self.file.be64(at + 16));
                self.region(offset, length);
            }
            at += 8 + self.file.be32(at + 4).next_multiple_of(8);
        }
    }

    /// The counts that the image stores; refcount table and blocks are referred to by the way.
    fn stored_counts(&mut self, order: u64) -> BTreeMap<u64, u64> {
        let (table, clusters) = (self.file.be64(48), self.file.be32(56));
        self.region(table, clusters * self.cluster);
        let bits = 1_u64 << order;
        let per_block = self.cluster * 8 / bits;
        let mut stored = BTreeMap::new();
        for index in 0..clusters * self.cluster / 8 {
            let block = self.file.be64(table + index * 8) & OFFSET_MASK;
            if block == 0 {
                continue;
            }
            self.region(block, self.cluster);
            for entry in 0..per_block {
                let count = if bits >= 8 {
                    self.file.number(block + entry * bits / 8, bits / 8)
                } else {
                    let byte = self.file.number(block + entry * bits / 8, 1);
                    byte >> (entry * bits % 8) & ((1 << bits) - 1)
                };
                if count > 0 {
                    stored.insert(index * per_block + entry, count);
                }
            }
        }
        stored
    }

    fn compare(&self, stored: &BTreeMap<u64, u64>) -> Result<(), String> {
        for cluster in self.references.keys().chain(stored.keys()) {
            let (counted, said) = (self.references.get(cluster), stored.get(cluster));
            if counted != said {
                return Err(format!(
                    "cluster {cluster}: {} references, refcount {}",
                    counted.unwrap_or(&0),
                    said.unwrap_or(&0)
                ));
            }
        }
        for (cluster, copied, what) in &self.flags {
            let single = self.references.get(cluster) == Some(&1);
            if single != *copied {
                return Err(format!("{what}: copied is {copied} for cluster {cluster}"));
            }
        }
        Ok(())
    }
}

/// What is wrong with the places of a qcow v1 image: nothing may lie twice, or behind the file's end.
pub fn qcow1(bytes: &[u8]) -> Result<(), String> {
    let file = Bytes(bytes);
    let (size, cluster_bits, l2_bits) = (file.be64(24), file.number(32, 1), file.number(33, 1));
    let l1 = file.be64(40);
    let cluster = 1_u64 << cluster_bits;
    let entries = size.div_ceil(cluster << l2_bits);
    let mut places = vec![(0, 48 + file.be32(16)), (l1, entries * 8)];
    for index in 0..entries {
        let table = file.be64(l1 + index * 8);
        if table == 0 {
            continue;
        }
        places.push((table, 8 << l2_bits));
        for index in 0..1_u64 << l2_bits {
            let entry = file.be64(table + index * 8);
            if entry & COPIED != 0 {
                let length_shift = 63 - cluster_bits;
                let offset = entry & ((1 << length_shift) - 1);
                places.push((offset, entry >> length_shift & (cluster - 1)));
            } else if entry != 0 {
                // A short last cluster is stored as far as the disk goes.
                places.push((entry, 1));
            }
        }
    }
    places.sort_unstable();
    for pair in places.windows(2) {
        let ((a, length), (b, _)) = (pair[0], pair[1]);
        if a + length > b {
            return Err(format!("{length} bytes at {a:#x} reach beyond {b:#x}"));
        }
    }
    match places.last() {
        Some((last, length)) if last + length > bytes.len() as u64 => {
            Err(format!("{length} bytes at {last:#x} reach beyond the file"))
        }
        _ => Ok(()),
    }
}
