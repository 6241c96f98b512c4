//! One image, from its file to its report. Read-only, without locks, and nothing but the file itself is opened.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use super::disk::Disk;
use super::findings::{self, Case};
use super::fingerprint::Fingerprint;
use super::freed::Freed;
use super::luks_disk::LuksDisk;
use super::options::AuditOptions;
use super::proof::{Proof, Questions};
use super::qcow1_disk::Qcow1Disk;
use super::qcow2_disk::Qcow2Disk;
use super::repair::{self, SourceKey};
use super::report::{ImageReport, LayerFacts, Protection, SCHEMA};
use super::sectors::Comparison;
use super::survey::Survey;
use super::weak;
use super::wrap::PERIOD;
use crate::base::{Error, HostOffset, Result};
use crate::codec::Compression;
use crate::crypto::{CipherMode, IvAlgorithm};
use crate::driver::file::{File, FileOptions, Locking};
use crate::driver::luks::inspect_volume;
use crate::format::luks1::{Header as LuksHeader, header::probe as probe_luks};
use crate::format::qcow1::header::{Crypt, probe as probe_qcow1};
use crate::format::qcow2::header::{CompressionType, CryptMethod, IncompatibleFeatures, MAGIC};
use crate::node::HostFile;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// qcow version 1.
    Qcow1,
    /// qcow2, or a qcow of a version that nobody knows.
    Qcow2,
    /// LUKS, version 1.
    Luks,
    /// LUKS of another version.
    LuksOther,
    /// Anything else.
    Raw,
}

/// An image, its tables loaded.
pub(super) enum Loaded {
    Qcow1(Qcow1Disk),
    Qcow2(Box<Qcow2Disk>, Option<Box<LuksHeader>>),
    Luks(Box<LuksDisk>),
    Raw(u64),
}

/// Opens a file for reading, without locks: whoever uses the image is not disturbed.
pub(super) fn open(path: &Path) -> Result<HostFile> {
    let kind = std::fs::metadata(path)
        .map_err(|error| {
            Error::from(error).prefixed(format!("Could not open '{}': ", path.display()))
        })?
        .file_type();
    // Opening a pipe would wait for its other end.
    if !(kind.is_file() || kind.is_block_device()) {
        return Err(Error::caller(format!(
            "'{}' is neither a file nor a block device",
            path.display()
        )));
    }
    let options = FileOptions {
        locking: Locking::Off,
        ..FileOptions::default()
    };
    let name = path
        .to_str()
        .ok_or_else(|| Error::caller(format!("'{}' is not a name in UTF-8", path.display())))?;
    Ok(HostFile::new(Arc::new(File::open(name, options)?)))
}

/// What the first bytes say.
pub fn probe(start: &[u8]) -> Format {
    if probe_luks(start) {
        Format::Luks
    } else if start.starts_with(b"LUKS\xba\xbe") {
        Format::LuksOther
    } else if probe_qcow1(start) {
        Format::Qcow1
    } else if start.starts_with(&MAGIC.to_be_bytes()) {
        Format::Qcow2
    } else {
        Format::Raw
    }
}

/// What the file at `path` is: for walks through directories, where most files are no images.
pub fn probe_file(path: &Path) -> Result<Format> {
    let start = open(path)?.read_vec(HostOffset::ZERO, 512)?;
    Ok(probe(&start))
}

/// Opens, probes, reads the tables.
pub(super) fn load(path: &Path) -> Result<Loaded> {
    let file = open(path)?;
    let start = file.read_vec(HostOffset::ZERO, 512)?;
    Ok(match probe(&start) {
        Format::Qcow1 => Loaded::Qcow1(Qcow1Disk::load(file)?),
        Format::Qcow2 => {
            let disk = Qcow2Disk::load(file)?;
            let header = luks_header(&disk)?.map(Box::new);
            Loaded::Qcow2(Box::new(disk), header)
        }
        Format::Luks => Loaded::Luks(Box::new(LuksDisk::load(file)?)),
        Format::LuksOther => {
            return Err(Error::unsupported(
                "LUKS versions other than 1 are not audited",
            ));
        }
        Format::Raw => Loaded::Raw(file.length()?),
    })
}

/// The LUKS header inside a qcow2 image.
fn luks_header(disk: &Qcow2Disk) -> Result<Option<LuksHeader>> {
    match disk.header.crypt_method {
        CryptMethod::None | CryptMethod::Aes => return Ok(None),
        CryptMethod::Unknown(number) => {
            return Err(Error::unsupported(format!(
                "Unsupported encryption method {number}"
            )));
        }
        CryptMethod::Luks => {}
    }
    let read = |offset: u64, bytes: &mut [u8]| read_luks_header(disk, offset, bytes);
    inspect_volume(&read, false).map(Some)
}

/// Reads from the LUKS header's area inside a qcow2 image.
pub(super) fn read_luks_header(disk: &Qcow2Disk, offset: u64, bytes: &mut [u8]) -> Result<()> {
    let place = disk
        .extensions
        .crypto
        .ok_or_else(|| Error::invalid("Missing CRYPTO header for crypt method 2"))?;
    if offset.saturating_add(bytes.len() as u64) > place.length {
        return Err(Error::invalid(
            "Request for data outside of extension header",
        ));
    }
    disk.image_file().read_at(place.offset.plus(offset)?, bytes)
}

/// Audits one image.
pub fn audit(path: &Path, options: &AuditOptions) -> Result<ImageReport> {
    audit_with(path, None, options)
}

/// Audits one image whose data, or whose payload behind a detached header, is in a file that the caller names.
pub fn audit_with(path: &Path, data: Option<&Path>, options: &AuditOptions) -> Result<ImageReport> {
    let data = data.map(open).transpose()?;
    let all_in_one = || Error::caller("the image has no data file and no detached header");
    match (load(path)?, data) {
        (Loaded::Raw(length), None) => Ok(audit_raw(path, length)),
        (Loaded::Qcow1(disk), None) => audit_qcow1(path, &disk, options),
        (Loaded::Qcow2(disk, header), None) => audit_qcow2(path, &disk, header.as_deref(), options),
        (Loaded::Luks(disk), None) => audit_luks(path, &disk, options),
        (Loaded::Qcow2(disk, header), Some(data)) if disk.has_data_file() => {
            let disk = disk.with_data_file(data)?;
            audit_qcow2(path, &disk, header.as_deref(), options)
        }
        (Loaded::Luks(disk), Some(data)) if disk.detached => {
            audit_luks(path, &disk.with_payload(data)?, options)
        }
        (_, Some(_)) => Err(all_in_one()),
    }
}

fn blank_report(path: &Path, format: &'static str, disk: Option<&dyn Disk>) -> ImageReport {
    let layers = disk.map_or(&[][..], |disk| disk.layers());
    ImageReport {
        schema: SCHEMA,
        image: path.to_owned(),
        format,
        virtual_size: layers.first().map_or(0, |layer| layer.disk_size),
        cluster_size: None,
        backing_file: None,
        protection: Protection {
            encryption: "none",
            in_clear: "everything",
            ..Protection::default()
        },
        layers: layers
            .iter()
            .map(|layer| LayerFacts {
                name: layer.name.clone(),
                disk_size: layer.disk_size,
                vm_state_size: layer.vm_state_size,
            })
            .collect(),
        stored_clusters: 0,
        complete: true,
        findings: Vec::new(),
        heat: None,
        new_key_command: String::new(),
        fingerprint: None,
    }
}

fn audit_raw(path: &Path, length: u64) -> ImageReport {
    let mut report = blank_report(path, "raw", None);
    report.virtual_size = length;
    let command = repair::convert(path, "raw", SourceKey::None);
    report.add(findings::not_encrypted().repaired_by(command));
    report
}

fn legacy_protection() -> Protection {
    Protection {
        encryption: "legacy-aes",
        cipher: Some("aes-128".to_owned()),
        mode: Some("cbc".to_owned()),
        ivgen: Some("plain64".to_owned()),
        iv_domain: Some("guest"),
        in_clear: "all metadata, snapshot names, compressed clusters",
        ..Protection::default()
    }
}

/// How the answers are asked for: the same for legacy AES in qcow v1 and qcow2.
const fn legacy_questions(compression: Compression) -> Questions {
    Questions {
        comparison: Comparison::Prefix,
        repeated_block: None,
        compression,
        fingerprint: true,
    }
}

fn audit_qcow1(path: &Path, disk: &Qcow1Disk, options: &AuditOptions) -> Result<ImageReport> {
    let mut report = blank_report(path, "qcow", Some(disk));
    report.cluster_size = Some(disk.cluster_size());
    report.backing_file = disk.backing.as_deref().map(weak::shown);
    if disk.crypt == Crypt::None {
        let command = repair::convert(path, "qcow", SourceKey::None);
        report.add(findings::not_encrypted().repaired_by(command));
        return Ok(report);
    }
    report.protection = legacy_protection();
    let mut survey = Survey::take(disk, true, false)?;
    let mut freed = Freed::default();
    let questions = legacy_questions(Compression::Deflate);
    let mut proof = Proof::take(disk, &mut survey, questions, options, &mut freed)?;
    let repair = repair::convert(path, "qcow", SourceKey::Embedded);
    report.new_key_command.clone_from(&repair);
    report.add(findings::legacy_aes().repaired_by(&repair));
    report.fingerprint = Some(Fingerprint::LegacyAes(std::mem::take(
        &mut proof.fingerprint,
    )));
    finish(
        &mut report,
        disk,
        survey,
        &proof,
        &freed,
        &Case::legacy(repair),
    );
    Ok(report)
}

fn audit_qcow2(
    path: &Path,
    disk: &Qcow2Disk,
    luks: Option<&LuksHeader>,
    options: &AuditOptions,
) -> Result<ImageReport> {
    let mut report = blank_report(path, "qcow2", Some(disk));
    report.cluster_size = Some(disk.cluster_size());
    report.backing_file = disk.backing.as_deref().map(weak::shown);
    if disk.header.crypt_method == CryptMethod::None {
        let command = repair::convert(path, "qcow2", SourceKey::None);
        report.add(findings::not_encrypted().repaired_by(command));
        return Ok(report);
    }
    let repair = repair::convert(path, "qcow2", SourceKey::Embedded);
    report.new_key_command.clone_from(&repair);
    let data_file = disk
        .header
        .incompatible
        .contains(IncompatibleFeatures::DATA_FILE);
    if let Some(header) = luks {
        let domain = if data_file { "guest" } else { "host" };
        let clear = "all metadata, snapshot names, compressed clusters";
        report.protection = weak::luks_protection(header, domain, clear);
        mark(&mut report, header);
        let erase = |slot| repair::erase_slot(path, "qcow2", slot);
        for finding in weak::luks_findings(header, options, &repair, &erase) {
            report.add(finding);
        }
    } else {
        report.protection = legacy_protection();
        report.add(findings::legacy_aes().repaired_by(&repair));
    }
    if data_file && !disk.data_is_known() {
        report.add(findings::data_file(&disk.extensions));
        return Ok(report);
    }
    let compression = match disk.compression {
        CompressionType::Zlib => Compression::Deflate,
        CompressionType::Zstd => Compression::Zstd,
    };
    let (questions, case) = match luks {
        None => (legacy_questions(compression), Case::legacy(repair)),
        Some(header) => {
            let questions = luks_questions(header, compression);
            (questions, Case::luks(header, HostOffset::ZERO, repair))
        }
    };
    let wraps = case.wraps() && disk.data_length > PERIOD;
    let mut survey = Survey::take(disk, luks.is_none(), wraps)?;
    let mut freed = if data_file {
        // Nothing is counted there: each cluster has its place for good.
        Freed::default()
    } else {
        Freed::find(disk, options, luks.is_none())?
    };
    let mut proof = Proof::take(disk, &mut survey, questions, options, &mut freed)?;
    if luks.is_none() {
        report.fingerprint = Some(Fingerprint::LegacyAes(std::mem::take(
            &mut proof.fingerprint,
        )));
    }
    findings::wrap(&mut report, disk, &survey, &case, options)?;
    finish(&mut report, disk, survey, &proof, &freed, &case);
    Ok(report)
}

const fn luks_questions(header: &LuksHeader, compression: Compression) -> Questions {
    let suite = header.suite();
    let ecb = matches!(suite.mode, CipherMode::Ecb);
    Questions {
        comparison: match suite.mode {
            CipherMode::Cbc => Comparison::Prefix,
            _ => Comparison::Positions,
        },
        repeated_block: if ecb {
            Some(suite.algorithm.block_bytes())
        } else {
            None
        },
        compression,
        fingerprint: false,
    }
}

fn audit_luks(path: &Path, disk: &LuksDisk, options: &AuditOptions) -> Result<ImageReport> {
    let mut report = blank_report(path, "luks", Some(disk));
    let header = &disk.header;
    let clear = "the header (cipher, hash, UUID), and which space was never written";
    report.protection = weak::luks_protection(header, "payload", clear);
    mark(&mut report, header);
    let repair = repair::convert(path, "luks", SourceKey::Standalone);
    report.new_key_command.clone_from(&repair);
    let erase = |slot| repair::erase_slot(path, "luks", slot);
    for finding in weak::luks_findings(header, options, &repair, &erase) {
        report.add(finding);
    }
    if disk.detached {
        report.add(findings::detached_header());
        return Ok(report);
    }
    let payload = HostOffset::new(header.payload_offset());
    let case = Case::luks(header, payload, repair);
    let plain = header.suite().iv == IvAlgorithm::Plain;
    let mut survey = Survey::take(disk, false, plain && disk.disk_end() > PERIOD)?;
    let mut freed = Freed::default();
    let questions = luks_questions(header, Compression::Deflate);
    let proof = Proof::take(disk, &mut survey, questions, options, &mut freed)?;
    findings::wrap(&mut report, disk, &survey, &case, options)?;
    finish(&mut report, disk, survey, &proof, &freed, &case);
    Ok(report)
}

fn mark(report: &mut ImageReport, header: &LuksHeader) {
    let fingerprint = Fingerprint::of_luks(header);
    if let Fingerprint::Luks { mark, .. } = &fingerprint {
        report.protection.key_mark = Some(mark.clone());
    }
    report.fingerprint = Some(fingerprint);
}

fn finish(
    report: &mut ImageReport,
    disk: &dyn Disk,
    survey: Survey,
    proof: &Proof,
    freed: &Freed,
    case: &Case,
) {
    report.stored_clusters = survey.clusters;
    report.complete = proof.complete;
    for finding in findings::from_content(disk, &survey, proof, freed, case) {
        report.add(finding);
    }
    report.heat = Some(survey.heat);
}
