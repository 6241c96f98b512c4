//! Which sector number made each IV, found by decryption: the plaintext is known, because whoever wrote the image
//! wrote one byte over and over. With the password; the audit proper needs none.

mod probe;
mod report;
mod scan;

use std::path::Path;

use self::probe::Probe;
pub use self::report::{IvReport, LayerReport, Made, Stretch};
use super::disk::{Cluster, Disk, Storage, Stored};
use super::image::{Loaded, load, open, read_luks_header};
use super::qcow2_disk::Qcow2Disk;
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, GuestOffset, HostOffset, IvSector, PayloadOffset, Result};
use crate::codec::Compression;
use crate::crypto::cipher::SharedCipher;
use crate::crypto::legacy_aes;
use crate::crypto::secret::Secret;
use crate::driver::luks::{UnlockOptions, open_volume};
use crate::format::luks1::Header as LuksHeader;
use crate::format::qcow2::header::{CompressionType, CryptMethod};

/// Where a sector number can come from (iv-domains §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The sector of the guest's disk.
    Guest,
    /// The sector of the file that stores the data.
    Host,
    /// The sector behind the LUKS header.
    Payload,
}

impl Domain {
    /// Every place that a number is tried from.
    const ALL: [Self; 3] = [Self::Guest, Self::Host, Self::Payload];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Guest => "the guest's sector",
            Self::Host => "the file's sector",
            Self::Payload => "the sector behind the header",
        }
    }
}

/// What is needed to judge an image.
#[derive(Clone, Debug, Default)]
pub struct IvOptions<'a> {
    /// The password.
    pub key: Option<&'a Secret>,
    /// The file that holds the guest's data, of a qcow2 image that has one.
    pub data_file: Option<&'a Path>,
    /// The file that holds the payload, of a LUKS header that is detached.
    pub payload: Option<&'a Path>,
}

/// Says for each stored sector of each state of the disk what made its IV.
pub fn judge(path: &Path, options: &IvOptions<'_>) -> Result<IvReport> {
    let key = || {
        options
            .key
            .ok_or_else(|| Error::key("which sector made an IV is only seen with the password"))
    };
    match load(path)? {
        Loaded::Raw(_) => Err(Error::caller("the image is not encrypted")),
        Loaded::Qcow1(disk) => {
            let cipher = legacy_aes(key()?, None)?;
            let case = Case::new("legacy AES in qcow", Domain::Guest, cipher);
            case.judge(&disk, &|_| u64::MAX)
        }
        Loaded::Qcow2(disk, header) => {
            let disk = with_data_file(*disk, options)?;
            judge_qcow2(&disk, header.as_deref(), key()?)
        }
        Loaded::Luks(disk) => {
            let disk = match options.payload {
                Some(payload) => disk.with_payload(open(payload)?)?,
                None => *disk,
            };
            let detached = UnlockOptions {
                detached: options.payload.is_some(),
                ..UnlockOptions::default()
            };
            let header = disk.header_file();
            let read =
                |offset: u64, bytes: &mut [u8]| header.read_at(HostOffset::new(offset), bytes);
            let volume = open_volume(&read, Some(key()?), &detached)?;
            let mut case = Case::new("LUKS", Domain::Payload, volume.cipher);
            case.payload = disk.header.payload_offset();
            case.judge(&disk, &|_| u64::MAX)
        }
    }
}

fn with_data_file(disk: Qcow2Disk, options: &IvOptions<'_>) -> Result<Qcow2Disk> {
    match (options.data_file, disk.has_data_file()) {
        (Some(path), true) => disk.with_data_file(open(path)?),
        (None, false) => Ok(disk),
        (None, true) => Err(Error::caller("the guest's data is in a data file: name it")),
        (Some(_), false) => Err(Error::caller("the image has no data file")),
    }
}

fn judge_qcow2(disk: &Qcow2Disk, header: Option<&LuksHeader>, key: &Secret) -> Result<IvReport> {
    let mut case = match (disk.header.crypt_method, header) {
        (CryptMethod::Aes, _) => {
            Case::new("legacy AES in qcow2", Domain::Guest, legacy_aes(key, None)?)
        }
        (CryptMethod::Luks, Some(_)) => {
            let options = UnlockOptions {
                option_prefix: "encrypt.",
                ..UnlockOptions::default()
            };
            let read = |offset: u64, bytes: &mut [u8]| read_luks_header(disk, offset, bytes);
            let volume = open_volume(&read, Some(key), &options)?;
            Case::new("LUKS in qcow2", Domain::Host, volume.cipher)
        }
        _ => return Err(Error::caller("the image is not encrypted")),
    };
    case.compression = match disk.compression {
        CompressionType::Zlib => Compression::Deflate,
        CompressionType::Zstd => Compression::Zstd,
    };
    // VM state starts where no L2 table of the disk's reaches (qcow2 §6).
    let coverage = disk.geometry.l2_coverage();
    case.judge(disk, &|disk_size: u64| {
        disk_size
            .checked_next_multiple_of(coverage)
            .unwrap_or(u64::MAX)
    })
}

/// A container with its key.
struct Case {
    container: &'static str,
    expected: Domain,
    cipher: SharedCipher,
    payload: u64,
    compression: Compression,
}

impl Case {
    const fn new(container: &'static str, expected: Domain, cipher: SharedCipher) -> Self {
        Self {
            container,
            expected,
            cipher,
            payload: 0,
            compression: Compression::Deflate,
        }
    }

    fn judge(&self, disk: &dyn Disk, vm_state_of: &dyn Fn(u64) -> u64) -> Result<IvReport> {
        let mut layers: Vec<LayerReport> = disk
            .layers()
            .iter()
            .map(|layer| LayerReport::new(&layer.name, vm_state_of(layer.disk_size)))
            .collect();
        let mut probe = Probe::new(&self.cipher, disk.file().length()?);
        disk.walk(&mut |cluster| {
            for stored in cluster.stored {
                let stretches = self.stretches(disk, cluster, stored, &mut probe)?;
                for layer in stored.layers {
                    if let Some(report) = layers.get_mut(*layer) {
                        for one in &stretches {
                            report.add(one);
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(IvReport {
            container: self.container,
            expected: self.expected,
            layers,
            in_clear: scan::repeated_bytes(disk.file())?,
        })
    }

    /// What one place of a cluster holds, sector by sector.
    fn stretches(
        &self,
        disk: &dyn Disk,
        cluster: &Cluster<'_>,
        stored: &Stored<'_>,
        probe: &mut Probe<'_>,
    ) -> Result<Vec<Stretch>> {
        let size = usize::try_from(disk.cluster_size()).map_err(|_| Error::eio())?;
        if let Storage::Compressed(length) = stored.storage {
            let length = length.min(disk.cluster_size() + SECTOR_SIZE as u64);
            let length = usize::try_from(length).map_err(|_| Error::eio())?;
            let packed = disk.file().read_vec(stored.host, length)?;
            let mut plain = vec![0; size];
            let unpacks = self.compression.decompress(&packed, &mut plain).is_ok();
            return Ok(vec![Stretch {
                guest: cluster.guest.bytes(),
                length: cluster.length,
                host: stored.host.bytes(),
                made: Made::Compressed { unpacks },
                byte: plain.first().copied(),
            }]);
        }
        if !stored.is_normal() {
            return Ok(Vec::new());
        }
        let bytes = disk.file().read_vec(stored.host, size)?;
        let mut found: Vec<Stretch> = Vec::new();
        for (within, sector) in (0_u64..)
            .step_by(SECTOR_SIZE)
            .zip(bytes.chunks(SECTOR_SIZE))
        {
            if within >= cluster.length || !stored.holds(within, disk.cluster_size()) {
                continue;
            }
            let guest = GuestOffset::new(cluster.guest.bytes().saturating_add(within));
            let host = stored.host.plus(within)?;
            let (made, byte) = probe.sector(sector, &self.candidates(guest, host));
            found.push(Stretch {
                guest: guest.bytes(),
                length: SECTOR_SIZE as u64,
                host: host.bytes(),
                made,
                byte,
            });
        }
        Ok(found)
    }

    /// The numbers to try, the right one first.
    fn candidates(&self, guest: GuestOffset, host: HostOffset) -> Vec<(Domain, IvSector)> {
        let number = |domain| match domain {
            Domain::Guest => IvSector::from_guest(guest),
            Domain::Host => IvSector::from_host(host),
            Domain::Payload => IvSector::from_payload(PayloadOffset::new(
                host.bytes().saturating_sub(self.payload),
            )),
        };
        let others = Domain::ALL
            .into_iter()
            .filter(|domain| *domain != self.expected);
        [self.expected]
            .into_iter()
            .chain(others)
            .map(|domain| (domain, number(domain)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
