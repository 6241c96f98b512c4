//! From what the passes saw to findings.

use serde_json::{Value, json};

use super::collisions::Collisions;
use super::disk::Disk;
use super::finding::{Evidence, Finding, FindingId, Severity};
use super::freed::Freed;
use super::options::AuditOptions;
use super::proof::Proof;
use super::report::ImageReport;
use super::sectors::Comparison;
use super::survey::{Shared, Survey};
use super::weak::shown;
use crate::base::{HostOffset, Result};
use crate::crypto::{CipherMode, IvAlgorithm};
use crate::format::luks1::Header;
use crate::format::qcow2::extension::Extensions;

/// What is known about the image's encryption when its content is judged.
pub struct Case {
    /// The places of one guest sector share key and IV.
    legacy: bool,
    mode: CipherMode,
    iv: IvAlgorithm,
    /// Offset of sector number 0.
    origin: HostOffset,
    repair: String,
}

impl Case {
    /// Legacy AES.
    pub const fn legacy(repair: String) -> Self {
        Self {
            legacy: true,
            mode: CipherMode::Cbc,
            iv: IvAlgorithm::Plain64,
            origin: HostOffset::ZERO,
            repair,
        }
    }

    /// LUKS.
    pub const fn luks(header: &Header, origin: HostOffset, repair: String) -> Self {
        let suite = header.suite();
        Self {
            legacy: false,
            mode: suite.mode,
            iv: suite.iv,
            origin,
            repair,
        }
    }

    /// Whether sector numbers start again after 2 TiB.
    pub fn wraps(&self) -> bool {
        self.iv == IvAlgorithm::Plain && self.mode != CipherMode::Ecb
    }

    fn finding(&self, id: FindingId, severity: Severity, evidence: Evidence) -> Finding {
        Finding::new(id, severity, evidence).repaired_by(&self.repair)
    }
}

/// The image is in clear.
pub fn not_encrypted() -> Finding {
    let evidence = Evidence::new("no encryption is named in the file");
    Finding::new(FindingId::NotEncrypted, Severity::Info, evidence)
}

/// The password is the key.
pub fn legacy_aes() -> Finding {
    let evidence =
        Evidence::new("the header says AES: key = password, 16 bytes, no salt, 0 iterations")
            .number("iterations", 0);
    Finding::new(FindingId::LegacyAes, Severity::Medium, evidence)
}

/// The data is elsewhere.
pub fn data_file(extensions: &Extensions) -> Finding {
    let name = extensions.data_file.as_deref().unwrap_or_default();
    let name = shown(&String::from_utf8_lossy(name));
    let evidence = Evidence::new(format!("the data is in '{name}'")).number("data-file", name);
    Finding::new(FindingId::DataFileNotExamined, Severity::Info, evidence)
}

/// The payload is elsewhere, and nobody knows where.
pub fn detached_header() -> Finding {
    let evidence = Evidence::new("the header is a file of its own; the payload is in another");
    Finding::new(FindingId::DataFileNotExamined, Severity::Info, evidence)
}

/// Everything that the content showed.
pub fn from_content(
    disk: &dyn Disk,
    survey: &Survey,
    proof: &Proof,
    freed: &Freed,
    case: &Case,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if case.legacy {
        let parts = [
            (FindingId::IvReuseSnapshots, &survey.disk, &proof.disk),
            (FindingId::IvReuseVmState, &survey.vm_state, &proof.vm_state),
        ];
        for (id, shared, collisions) in parts {
            findings.extend(reuse(id, disk, shared, collisions, case));
        }
    } else if case.mode != CipherMode::Ecb {
        findings.extend(guest_offset(survey, proof, case));
    }
    findings.extend(ecb(proof, case));
    findings.extend(compressed(survey, proof, case));
    findings.extend(never_written(proof, case));
    findings.extend(stale(survey, proof, freed, case));
    findings
}

fn collision_numbers(evidence: Evidence, shared: &Shared, seen: &Collisions) -> Evidence {
    let ranges: Vec<Value> = shared
        .ranges
        .first
        .iter()
        .map(|(start, length)| json!({ "guest-offset": start, "length": length }))
        .collect();
    evidence
        .number("sectors", shared.sectors)
        .number("clusters", shared.clusters)
        .number("sectors-compared", seen.examined)
        .number("sectors-with-equal-blocks", seen.equal)
        .number("sectors-identical", seen.identical)
        .number("sectors-changed", seen.different)
        .number("ranges", shared.ranges.count)
        .number("first-ranges", ranges)
        .examples(seen.examples.clone())
}

/// Layers that take part, with their clusters.
fn layers_of(disk: &dyn Disk, shared: &Shared) -> Vec<Value> {
    let layers = disk.layers().iter().zip(&shared.by_layer);
    layers
        .filter(|(_, clusters)| **clusters > 0)
        .map(|(layer, clusters)| json!({ "layer": layer.name, "clusters": clusters }))
        .collect()
}

fn reuse(
    id: FindingId,
    disk: &dyn Disk,
    shared: &Shared,
    seen: &Collisions,
    case: &Case,
) -> Option<Finding> {
    if shared.sectors == 0 {
        return None;
    }
    let layers = layers_of(disk, shared);
    let summary = format!(
        "{} guest sectors are stored more than once under one key and IV, in {} states of the disk; \
         of {} compared, {} have equal ciphertext ({} identical)",
        shared.sectors,
        layers.len(),
        seen.examined,
        seen.equal,
        seen.identical
    );
    // Equal blocks are seen by anybody; without any, the versions still share their IVs.
    let severity = if seen.equal > 0 {
        Severity::High
    } else {
        Severity::Medium
    };
    let evidence = collision_numbers(Evidence::new(summary), shared, seen);
    Some(case.finding(id, severity, evidence.number("layers", layers)))
}

/// LUKS: no two places of the file share an IV, so equal blocks can't be.
fn guest_offset(survey: &Survey, proof: &Proof, case: &Case) -> Option<Finding> {
    let equal = proof.disk.equal + proof.vm_state.equal;
    if equal == 0 {
        return None;
    }
    let (shared, seen) = if proof.disk.equal > 0 {
        (&survey.disk, &proof.disk)
    } else {
        (&survey.vm_state, &proof.vm_state)
    };
    let summary = format!(
        "{equal} guest sectors have equal ciphertext at different places of the file; with IVs from the \
         place in the file there can be none"
    );
    let evidence = collision_numbers(Evidence::new(summary), shared, seen);
    Some(case.finding(FindingId::IvGuestOffset, Severity::High, evidence))
}

fn ecb(proof: &Proof, case: &Case) -> Option<Finding> {
    if case.mode != CipherMode::Ecb {
        return None;
    }
    let content = &proof.content;
    let summary = format!(
        "the mode is ecb; {} of the pieces read have one block at two places",
        content.repetitions
    );
    let evidence = Evidence::new(summary)
        .number("pieces-with-repetitions", content.repetitions)
        .number("sectors-examined", content.examined)
        .examples(content.repetition_examples.clone());
    Some(case.finding(FindingId::Ecb, Severity::High, evidence))
}

fn compressed(survey: &Survey, proof: &Proof, case: &Case) -> Option<Finding> {
    if survey.compressed_places == 0 {
        return None;
    }
    let seen = &proof.inflated;
    let summary = format!(
        "{} clusters are compressed; of {} tried, {} unpacked to a whole cluster of guest data",
        survey.compressed_places, seen.examined, seen.proven
    );
    let severity = if seen.proven > 0 {
        Severity::High
    } else {
        Severity::Medium
    };
    let evidence = Evidence::new(summary)
        .number("clusters", survey.compressed_places)
        .number("clusters-tried", seen.examined)
        .number("clusters-unpacked", seen.proven)
        .examples(seen.examples.clone());
    Some(case.finding(FindingId::PlaintextCompressed, severity, evidence))
}

fn never_written(proof: &Proof, case: &Case) -> Option<Finding> {
    let content = &proof.content;
    if content.blank == 0 {
        return None;
    }
    let summary = format!(
        "{} of {} sectors read are plain zeros where ciphertext would be",
        content.blank, content.examined
    );
    let evidence = Evidence::new(summary)
        .number("sectors", content.blank)
        .number("sectors-examined", content.examined)
        .examples(content.blank_examples.clone());
    let finding = case.finding(FindingId::NeverWritten, Severity::Low, evidence);
    let fill = case.repair.replacen("convert ", "convert -S 0 ", 1);
    Some(finding.repaired_by(fill))
}

fn stale(survey: &Survey, proof: &Proof, freed: &Freed, case: &Case) -> Option<Finding> {
    let kept = proof.kept.examined - proof.kept.blank;
    if freed.holding_data == 0 && kept == 0 {
        return None;
    }
    let summary = format!(
        "{} free clusters still hold data ({} looked at), and {} sectors below 'reads as zeros'; {} live \
         sectors begin like a free one",
        freed.holding_data, freed.examined, kept, freed.live_matches
    );
    let evidence = Evidence::new(summary)
        .number("free-clusters", freed.clusters)
        .number("free-clusters-examined", freed.examined)
        .number("free-clusters-holding-data", freed.holding_data)
        .number("zero-clusters-kept", survey.kept_places)
        .number("sectors-below-zero-clusters", kept)
        .number("live-sectors-that-match", freed.live_matches);
    let (severity, examples) = if freed.live_matches > 0 {
        (Severity::Medium, &freed.match_examples)
    } else {
        (Severity::Low, &freed.examples)
    };
    let evidence = evidence.examples(examples.clone());
    Some(case.finding(FindingId::StaleClusters, severity, evidence))
}

/// `plain` IVs.
pub fn wrap(
    report: &mut ImageReport,
    disk: &dyn Disk,
    survey: &Survey,
    case: &Case,
    options: &AuditOptions,
) -> Result<()> {
    if !case.wraps() {
        return Ok(());
    }
    let Some(runs) = &survey.runs else {
        let evidence = Evidence::new("the IVs are 'plain'; no data lies beyond 2 TiB");
        report.add(case.finding(FindingId::PlainIv, Severity::Low, evidence));
        return Ok(());
    };
    let wraps = runs.find_wraps(case.origin.bytes());
    if wraps.sectors == 0 {
        let evidence = Evidence::new("the IVs are 'plain'; no two stored sectors lie 2 TiB apart");
        report.add(case.finding(FindingId::PlainIv, Severity::Low, evidence));
        return Ok(());
    }
    let comparison = match case.mode {
        CipherMode::Cbc => Comparison::Prefix,
        _ => Comparison::Positions,
    };
    let budget = if options.full {
        u64::MAX
    } else {
        options.sample_bytes
    };
    let proof = wraps.prove(disk.file(), comparison, budget)?;
    let summary = format!(
        "{} sector numbers are used at places 2 TiB apart; of {} pairs compared, {} have equal ciphertext \
         ({} identical)",
        wraps.sectors, proof.examined, proof.equal, proof.identical
    );
    let evidence = Evidence::new(summary)
        .number("sectors", wraps.sectors)
        .number("sectors-compared", proof.examined)
        .number("sectors-with-equal-blocks", proof.equal)
        .number("sectors-identical", proof.identical)
        .number("truncated", runs.truncated)
        .examples(proof.examples);
    report.add(case.finding(FindingId::IvWrap, Severity::High, evidence));
    Ok(())
}
