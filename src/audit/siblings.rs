//! What only shows between images: one master key, or one legacy password, for several files (iv-domains §4).

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Evidence, Example, Finding, FindingId, Place, Severity};
use super::fingerprint::Fingerprint;
use super::report::ImageReport;
use super::sectors::BLOCK;
use crate::base::iv_sector::SECTOR_SIZE;

/// Examples that are kept.
const EXAMPLES: usize = 4;

/// Adds findings to all images that have something in common.
pub fn compare(reports: &mut [&mut ImageReport]) {
    let mut found = shared_master_keys(reports);
    found.extend(shared_passwords(reports));
    for (index, finding) in found {
        if let Some(report) = reports.get_mut(index) {
            let finding = finding.repaired_by(&report.new_key_command);
            report.add(finding);
        }
    }
}

fn shared_master_keys(reports: &[&mut ImageReport]) -> Vec<(usize, Finding)> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        if let Some(Fingerprint::Luks { mark, .. }) = &report.fingerprint {
            groups.entry(mark).or_default().push(index);
        }
    }
    let mut found = Vec::new();
    for (mark, members) in groups.into_iter().filter(|(_, members)| members.len() > 1) {
        for index in &members {
            let others = members.iter().filter(|other| *other != index);
            let others: Vec<String> = others.map(|other| name(reports, *other)).collect();
            let summary = format!(
                "digest and salt of the master key are equal ({mark}) in {}",
                others.join(", ")
            );
            let evidence = Evidence::new(summary)
                .number("key-mark", mark)
                .number("files", others);
            let id = FindingId::SharedMasterKey;
            found.push((*index, Finding::new(id, Severity::Medium, evidence)));
        }
    }
    found
}

/// Images that have a block, and where in the file.
type Owners = Vec<(usize, u64)>;

/// Sectors of one place on the disk with equal ciphertext in several files.
#[derive(Default)]
struct Matches {
    sectors: u64,
    files: BTreeSet<usize>,
    examples: Vec<Example>,
}

fn shared_passwords(reports: &[&mut ImageReport]) -> Vec<(usize, Finding)> {
    // (sector, block) → the images that have it there, and where in the file.
    let mut owners: BTreeMap<(u64, [u8; BLOCK]), Owners> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        if let Some(Fingerprint::LegacyAes(marks)) = &report.fingerprint {
            for (sector, (block, host)) in marks {
                let members = owners.entry((*sector, *block)).or_default();
                members.push((index, *host));
            }
        }
    }
    let place = |(index, host_offset): &(usize, u64)| Place {
        layer: name(reports, *index),
        host_offset: *host_offset,
    };
    let mut matches: BTreeMap<usize, Matches> = BTreeMap::new();
    for ((sector, _), members) in owners.iter().filter(|(_, members)| members.len() > 1) {
        for (index, _) in members {
            let seen = matches.entry(*index).or_default();
            seen.sectors += 1;
            let others = members.iter().map(|(other, _)| *other);
            seen.files.extend(others.filter(|other| other != index));
            if seen.examples.len() < EXAMPLES {
                seen.examples.push(Example {
                    guest_offset: Some(sector * SECTOR_SIZE as u64),
                    places: members.iter().map(place).collect(),
                    equal_bytes: Some(BLOCK as u64),
                });
            }
        }
    }
    let finding = |(index, seen): (usize, Matches)| {
        let files = seen.files.iter().map(|other| name(reports, *other));
        let files: Vec<String> = files.collect();
        let summary = format!(
            "{} of the guest sectors looked at begin with the same ciphertext in {}",
            seen.sectors,
            files.join(", ")
        );
        let evidence = Evidence::new(summary)
            .number("sectors", seen.sectors)
            .number("files", files)
            .examples(seen.examples);
        let finding = Finding::new(FindingId::SharedPassword, Severity::High, evidence);
        (index, finding)
    };
    matches.into_iter().map(finding).collect()
}

fn name(reports: &[&mut ImageReport], index: usize) -> String {
    let report = reports.get(index);
    report.map_or_else(String::new, |report| report.image.display().to_string())
}
