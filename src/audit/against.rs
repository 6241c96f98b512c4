//! Two versions of one image: what shares key and IV over time (iv-domains §4).

use std::path::Path;

use super::disk::Disk;
use super::finding::{Evidence, Example, Finding, FindingId, Place, Severity};
use super::fingerprint::Fingerprint;
use super::image::{self, Loaded};
use super::options::AuditOptions;
use super::repair::{self, SourceKey};
use super::sectors::{self, Comparison, is_blank};
use super::wrap::{Run, Runs};
use crate::base::iv_sector::SECTOR_SIZE;
use crate::base::{Error, HostOffset, Result};
use crate::crypto::CipherMode;
use crate::format::luks1::Header;
use crate::format::qcow1::header::Crypt;
use crate::format::qcow2::header::{CryptMethod, IncompatibleFeatures};
use crate::node::HostFile;

/// Bytes compared at a time.
const PIECE: u64 = 64 << 10;
/// Examples that are kept.
const EXAMPLES: usize = 8;

/// Which number makes the IV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Guest,
    Host,
}

/// One version of the image.
struct Version {
    file: HostFile,
    runs: Runs,
    domain: Domain,
    mode: CipherMode,
    /// Bytes in front of the sector with number 0.
    payload: u64,
    /// Equal for equal master keys; `None` for legacy AES, where nothing tells.
    mark: Option<Fingerprint>,
    repair: String,
}

impl Version {
    /// The byte that stands for the number of a stretch's first sector.
    const fn number(&self, run: &Run) -> u64 {
        match self.domain {
            Domain::Guest => run.guest,
            Domain::Host => run.host.saturating_sub(self.payload),
        }
    }
}

fn places(disk: &dyn Disk, active_only: bool) -> Result<Runs> {
    let mut runs = Runs::default();
    let size = disk.cluster_size();
    disk.walk(&mut |cluster| {
        for stored in cluster.stored {
            let wanted = !active_only || stored.layers.contains(&0);
            if stored.is_normal() && wanted {
                runs.add(stored, cluster, size);
            }
        }
        Ok(())
    })?;
    if runs.truncated {
        return Err(Error::unsupported(
            "The image is too fragmented to be compared",
        ));
    }
    Ok(runs)
}

fn legacy(path: &Path, driver: &str, disk: &dyn Disk) -> Result<Version> {
    Ok(Version {
        file: disk.file().clone(),
        runs: places(disk, true)?,
        domain: Domain::Guest,
        mode: CipherMode::Cbc,
        payload: 0,
        mark: None,
        repair: repair::convert(path, driver, SourceKey::Embedded),
    })
}

fn luks(header: &Header, disk: &dyn Disk, payload: u64, repair: String) -> Result<Version> {
    Ok(Version {
        file: disk.file().clone(),
        runs: places(disk, false)?,
        domain: Domain::Host,
        mode: header.suite().mode,
        payload,
        mark: Some(Fingerprint::of_luks(header)),
        repair,
    })
}

fn load(path: &Path) -> Result<Version> {
    let plain = || Error::unsupported("The image is not encrypted");
    match image::load(path)? {
        Loaded::Raw(_) => Err(plain()),
        Loaded::Qcow1(disk) if disk.crypt == Crypt::None => Err(plain()),
        Loaded::Qcow1(disk) => legacy(path, "qcow", &disk),
        Loaded::Qcow2(disk, _)
            if disk
                .header
                .incompatible
                .contains(IncompatibleFeatures::DATA_FILE) =>
        {
            Err(Error::unsupported("The data is in another file"))
        }
        Loaded::Qcow2(disk, Some(header)) => {
            let repair = repair::convert(path, "qcow2", SourceKey::Embedded);
            luks(&header, &*disk, 0, repair)
        }
        Loaded::Qcow2(disk, None) => match disk.header.crypt_method {
            CryptMethod::None => Err(plain()),
            _ => legacy(path, "qcow2", &*disk),
        },
        Loaded::Luks(disk) => {
            let repair = repair::convert(path, "luks", SourceKey::Standalone);
            luks(&disk.header, &*disk, disk.header.payload_offset(), repair)
        }
    }
}

/// Stretches of both versions with equal IVs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meeting {
    now: Run,
    then: Run,
}

/// Both lists by the number that makes the IV, and where they meet.
fn meetings(now: &Version, then: &Version) -> Vec<Meeting> {
    let sorted = |version: &Version| {
        let mut runs = version.runs.stretches().to_vec();
        runs.sort_unstable_by_key(|run| version.number(run));
        runs
    };
    let (left, right) = (sorted(now), sorted(then));
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut found = Vec::new();
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let (a, b) = (now.number(one), then.number(other));
        let (a_end, b_end) = (a + one.length, b + other.length);
        let (start, end) = (a.max(b), a_end.min(b_end));
        if start < end {
            let part = |run: &Run, at: u64| Run {
                host: run.host + (start - at),
                guest: run.guest + (start - at),
                length: end - start,
            };
            found.push(Meeting {
                now: part(one, a),
                then: part(other, b),
            });
        }
        if a_end <= b_end {
            left.next();
        } else {
            right.next();
        }
    }
    found
}

/// What changed between two versions.
#[derive(Clone, Debug, Default)]
struct Changes {
    /// Sectors that share key and IV with others.
    sectors: u64,
    /// Of these, with equal blocks.
    equal: u64,
    examples: Vec<Example>,
}

impl Changes {
    fn add(&mut self, meeting: &Meeting, at: u64, mut copies: [&[u8]; 2], comparison: Comparison) {
        self.sectors += 1;
        let equality = sectors::compare(comparison, &mut copies);
        self.equal += u64::from(equality.equal_bytes > 0);
        if self.examples.len() < EXAMPLES && (equality.equal_bytes > 0 || self.equal == 0) {
            let place = |layer: &str, run: &Run| Place {
                layer: layer.to_owned(),
                host_offset: run.host + at,
            };
            self.examples.push(Example {
                guest_offset: Some(meeting.now.guest + at),
                places: vec![
                    place("now", &meeting.now),
                    place("older copy", &meeting.then),
                ],
                equal_bytes: Some(equality.equal_bytes as u64),
            });
        }
    }

    fn finding(self, id: FindingId, severity: Severity, examined: u64, repair: &str) -> Finding {
        let summary = format!(
            "{} of {examined} sectors compared were written again under the same key and IV; {} of them \
             have equal blocks",
            self.sectors, self.equal
        );
        let evidence = Evidence::new(summary)
            .number("sectors", self.sectors)
            .number("sectors-compared", examined)
            .number("sectors-with-equal-blocks", self.equal)
            .examples(self.examples);
        Finding::new(id, severity, evidence).repaired_by(repair)
    }
}

/// Compares `path` with an older copy of it.
pub fn compare(path: &Path, older: &Path, options: &AuditOptions) -> Result<Vec<Finding>> {
    let (now, then) = (load(path)?, load(older)?);
    if now.mark != then.mark || now.domain != then.domain {
        return Err(Error::caller(
            "it is no older copy of the image: the master keys differ, nothing is shared",
        ));
    }
    let meetings = meetings(&now, &then);
    let comparison = match now.mode {
        CipherMode::Cbc => Comparison::Prefix,
        _ => Comparison::Positions,
    };
    let pieces = meetings.iter().map(|one| one.now.length.div_ceil(PIECE));
    let mut sampler = options.sampler(pieces.sum(), 2 * PIECE);
    let (mut in_place, mut moved) = (Changes::default(), Changes::default());
    let mut examined = 0;
    for meeting in &meetings {
        let changes = if meeting.now.guest == meeting.then.guest {
            &mut in_place
        } else {
            &mut moved
        };
        let mut at = 0;
        while at < meeting.now.length {
            let length = PIECE.min(meeting.now.length - at);
            if sampler.take() {
                let files = [&now.file, &then.file];
                examined += compare_piece(files, meeting, (at, length), comparison, changes)?;
            }
            at += length;
        }
    }
    Ok(judge(&now, in_place, moved, examined))
}

fn judge(now: &Version, in_place: Changes, moved: Changes, examined: u64) -> Vec<Finding> {
    let counter = now.mode == CipherMode::Ctr;
    let mut findings = Vec::new();
    if in_place.sectors > 0 {
        let (id, severity) = match now.domain {
            Domain::Guest => (FindingId::ReuseOverTime, Severity::Medium),
            Domain::Host if counter => (FindingId::ReuseInPlace, Severity::High),
            Domain::Host => (FindingId::ReuseInPlace, Severity::Low),
        };
        findings.push(in_place.finding(id, severity, examined, &now.repair));
    }
    if moved.sectors > 0 {
        let severity = if counter {
            Severity::High
        } else {
            Severity::Medium
        };
        findings.push(moved.finding(FindingId::ReuseMoved, severity, examined, &now.repair));
    }
    findings
}

/// Gives the sectors compared: those that hold something in both versions.
fn compare_piece(
    [new, old]: [&HostFile; 2],
    meeting: &Meeting,
    (start, length): (u64, u64),
    comparison: Comparison,
    changes: &mut Changes,
) -> Result<u64> {
    let length = usize::try_from(length).unwrap_or(SECTOR_SIZE);
    let read = |file: &HostFile, run: &Run| {
        file.read_vec(HostOffset::new(run.host.saturating_add(start)), length)
    };
    let (new, old) = (read(new, &meeting.now)?, read(old, &meeting.then)?);
    let sectors = new.chunks(SECTOR_SIZE).zip(old.chunks(SECTOR_SIZE));
    let mut examined = 0;
    for (at, (one, other)) in (start..).step_by(SECTOR_SIZE).zip(sectors) {
        if is_blank(one) || is_blank(other) {
            continue;
        }
        examined += 1;
        // A place that moved and holds the same bytes is a reuse too: equal plaintext shows.
        if one != other || meeting.now.guest != meeting.then.guest {
            changes.add(meeting, at, [one, other], comparison);
        }
    }
    Ok(examined)
}
