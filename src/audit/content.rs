//! What lies in places that should hold ciphertext: zeros, repetitions, compressed plaintext.

use super::disk::{Cluster, Disk, Storage, Stored};
use super::finding::{Example, Place};
use super::sectors::{is_blank, repeated_block};
use crate::base::Result;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::codec::Compression;

/// Examples that are kept.
const EXAMPLES: usize = 4;
/// Bytes read at a time.
const PIECE: u64 = 64 << 10;

/// What normal places hold.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Sectors looked at.
    pub examined: u64,
    /// Sectors of zeros.
    pub blank: u64,
    /// Examples of sectors of zeros, one a cluster.
    pub blank_examples: Vec<Example>,
    /// Pieces in which a block occurs twice (asked for with ECB only).
    pub repetitions: u64,
    /// Where: the two places of one block.
    pub repetition_examples: Vec<Example>,
}

impl Content {
    /// Reads a place. `block`: look for repeated blocks of that many bytes.
    pub fn examine(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        stored: &Stored<'_>,
        block: Option<usize>,
    ) -> Result<()> {
        let mut at = 0;
        let mut shown = false;
        while at < cluster.length {
            let length = PIECE.min(cluster.length - at);
            let host = stored.host.plus(at)?;
            let bytes = disk
                .file()
                .read_vec(host, usize::try_from(length).unwrap_or(SECTOR_SIZE))?;
            for (within, sector) in (at..).step_by(SECTOR_SIZE).zip(bytes.chunks(SECTOR_SIZE)) {
                if !stored.holds(within, disk.cluster_size()) {
                    continue;
                }
                self.examined += 1;
                if is_blank(sector) {
                    self.blank += 1;
                    if self.blank_examples.len() < EXAMPLES && !shown {
                        shown = true;
                        let places = vec![place(disk, stored, within)];
                        self.blank_examples.push(example(cluster, within, places));
                    }
                }
            }
            if let Some((first, second)) = block.and_then(|block| repeated_block(&bytes, block)) {
                self.repetitions += 1;
                if self.repetition_examples.len() < EXAMPLES {
                    let places = [first, second];
                    let places = places.map(|one| place(disk, stored, at + one as u64));
                    self.repetition_examples.push(example(
                        cluster,
                        at + first as u64,
                        places.to_vec(),
                    ));
                }
            }
            at += length;
        }
        Ok(())
    }
}

/// Compressed clusters of an encrypted image.
#[derive(Clone, Debug, Default)]
pub struct Inflated {
    /// Clusters tried.
    pub examined: u64,
    /// Clusters that unpacked to a whole cluster: plaintext.
    pub proven: u64,
    /// The first ones.
    pub examples: Vec<Example>,
}

impl Inflated {
    /// Tries to unpack a compressed cluster.
    pub fn examine(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        stored: &Stored<'_>,
        compression: Compression,
    ) -> Result<()> {
        let Storage::Compressed(length) = stored.storage else {
            return Ok(());
        };
        self.examined += 1;
        // Descriptors can name many times a cluster: no compressed cluster is longer than it was.
        let length = length.min(disk.cluster_size() + SECTOR_SIZE as u64);
        let length = usize::try_from(length).unwrap_or(SECTOR_SIZE);
        let bytes = disk.file().read_vec(stored.host, length)?;
        let size = usize::try_from(disk.cluster_size()).unwrap_or(SECTOR_SIZE);
        let mut plain = zeroize::Zeroizing::new(vec![0; size]);
        if compression.decompress(&bytes, &mut plain).is_ok() {
            self.proven += 1;
            if self.examples.len() < EXAMPLES {
                let places = vec![place(disk, stored, 0)];
                self.examples.push(example(cluster, 0, places));
            }
        }
        Ok(())
    }
}

fn place(disk: &dyn Disk, stored: &Stored<'_>, within: u64) -> Place {
    let layer = stored
        .layers
        .first()
        .and_then(|layer| disk.layers().get(*layer));
    Place {
        layer: layer.map_or_else(String::new, |layer| layer.name.clone()),
        host_offset: stored.host.bytes().saturating_add(within),
    }
}

fn example(cluster: &Cluster<'_>, within: u64, places: Vec<Place>) -> Example {
    Example {
        guest_offset: Some(cluster.guest.bytes().saturating_add(within)),
        places,
        equal_bytes: None,
    }
}
