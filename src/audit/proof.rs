//! The second pass: what the ciphertext shows. One walk, each question with a sampler of its own.

use super::collisions::Collisions;
use super::content::{Content, Inflated};
use super::disk::{Cluster, Disk, Storage, Stored};
use super::fingerprint::{Chooser, SectorMarks, sector_of};
use super::freed::Freed;
use super::options::{AuditOptions, Sampler};
use super::sectors::{BLOCK, Comparison, is_blank};
use super::survey::Survey;
use crate::base::Result;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::codec::Compression;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Questions {
    /// How copies of a sector are compared.
    pub comparison: Comparison,
    /// Look for repeated blocks of that many bytes.
    pub repeated_block: Option<usize>,
    /// Of compressed clusters.
    pub compression: Compression,
    /// Remember ciphertext by guest sector (legacy AES).
    pub fingerprint: bool,
}

/// The answers.
pub struct Proof {
    /// Copies of the disk's sectors.
    pub disk: Collisions,
    /// Copies of VM state.
    pub vm_state: Collisions,
    /// What normal places hold.
    pub content: Content,
    /// What compressed places hold.
    pub inflated: Inflated,
    /// What is kept under zero flags.
    pub kept: Content,
    /// How some guest sectors begin, the active state's where there is one.
    pub fingerprint: SectorMarks,
    /// Everything was looked at.
    pub complete: bool,
    samplers: Samplers,
    chooser: Chooser,
}

struct Samplers {
    shared: Sampler,
    normal: Sampler,
    compressed: Sampler,
    kept: Sampler,
}

impl Proof {
    /// Walks over the image again. `freed`: to be compared with live sectors.
    pub fn take(
        disk: &dyn Disk,
        survey: &mut Survey,
        questions: Questions,
        options: &AuditOptions,
        freed: &mut Freed,
    ) -> Result<Self> {
        let size = disk.cluster_size();
        let shared = survey.disk.clusters + survey.vm_state.clusters;
        let shared_places = (survey.disk.places + survey.vm_state.places).div_ceil(shared.max(1));
        let samplers = Samplers {
            shared: options.sampler(shared, shared_places.saturating_mul(size)),
            normal: options.sampler(survey.normal_places, size),
            compressed: options.sampler(survey.compressed_places, size),
            kept: options.sampler(survey.kept_places, size),
        };
        let complete = [&samplers.shared, &samplers.normal, &samplers.compressed]
            .iter()
            .all(|sampler| sampler.is_complete());
        let stored_sectors = survey.normal_places.saturating_mul(size) / SECTOR_SIZE as u64;
        let mut proof = Self {
            disk: Collisions::default(),
            vm_state: Collisions::default(),
            content: Content::default(),
            inflated: Inflated::default(),
            kept: Content::default(),
            fingerprint: SectorMarks::new(),
            complete,
            samplers,
            chooser: Chooser::new(stored_sectors),
        };
        let end = disk.disk_end();
        disk.walk(&mut |cluster| {
            let normal = cluster.stored.iter().filter(|one| one.is_normal());
            if normal.count() > 1 && proof.samplers.shared.take() {
                let collisions = if cluster.guest.bytes() < end {
                    &mut proof.disk
                } else {
                    &mut proof.vm_state
                };
                if collisions.examine(disk, cluster, questions.comparison)? {
                    survey.heat.prove(cluster);
                }
            }
            for stored in cluster.stored {
                proof.examine_place(disk, cluster, stored, questions, freed)?;
            }
            Ok(())
        })?;
        Ok(proof)
    }

    fn examine_place(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        stored: &Stored<'_>,
        questions: Questions,
        freed: &mut Freed,
    ) -> Result<()> {
        match stored.storage {
            Storage::Normal(_) => {
                let sampled = self.samplers.normal.take();
                if sampled {
                    let block = questions.repeated_block;
                    self.content.examine(disk, cluster, stored, block)?;
                }
                let marked = questions.fingerprint && self.chooser.takes(cluster.guest.bytes());
                if marked || (sampled && freed.remembers()) {
                    self.read_sectors(disk, cluster, stored, marked, freed)?;
                }
                Ok(())
            }
            Storage::Compressed(_) if self.samplers.compressed.take() => {
                let compression = questions.compression;
                self.inflated.examine(disk, cluster, stored, compression)
            }
            Storage::Kept if self.samplers.kept.take() => {
                // The whole place is looked at, whatever its subclusters say.
                let whole = Stored {
                    storage: Storage::Normal(u32::MAX),
                    ..*stored
                };
                self.kept.examine(disk, cluster, &whole, None)
            }
            _ => Ok(()),
        }
    }

    fn read_sectors(
        &mut self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        stored: &Stored<'_>,
        marked: bool,
        freed: &mut Freed,
    ) -> Result<()> {
        let length = usize::try_from(cluster.length).unwrap_or(SECTOR_SIZE);
        let bytes = disk.file().read_vec(stored.host, length)?;
        let layer = stored
            .layers
            .first()
            .and_then(|layer| disk.layers().get(*layer));
        let layer = layer.map_or("", |layer| layer.name.as_str());
        for (at, sector) in (0..).step_by(SECTOR_SIZE).zip(bytes.chunks(SECTOR_SIZE)) {
            if is_blank(sector) || !stored.holds(at, disk.cluster_size()) {
                continue;
            }
            let guest = cluster.guest.bytes().saturating_add(at);
            let host = stored.host.bytes().saturating_add(at);
            if let (true, Some(block)) = (marked, sector.first_chunk::<BLOCK>()) {
                self.fingerprint
                    .entry(sector_of(guest))
                    .or_insert((*block, host));
            }
            if freed.remembers() {
                freed.compare(guest, layer, host, sector);
            }
        }
        Ok(())
    }
}
