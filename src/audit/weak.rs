//! Choices that were made when the image was created.

use super::finding::{Evidence, Finding, FindingId, Severity};
use super::options::AuditOptions;
use super::report::{KeySlotFacts, Protection};
use crate::crypto::{CipherMode, HashAlgorithm, IvAlgorithm};
use crate::format::luks1::Header;

/// Fewer iterations than this are an open door.
const ITERATIONS_MEDIUM: u32 = 100_000;

/// Iterations that slow guessing down enough, by today's advice for each hash.
const fn iterations_advised(hash: HashAlgorithm) -> u32 {
    match hash {
        HashAlgorithm::Sha512 | HashAlgorithm::Sha384 => 210_000,
        HashAlgorithm::Md5 | HashAlgorithm::Sha1 => 1_300_000,
        _ => 600_000,
    }
}

/// What a LUKS header protects with what.
pub fn luks_protection(
    header: &Header,
    iv_domain: &'static str,
    in_clear: &'static str,
) -> Protection {
    let suite = header.suite();
    let ivgen = match (suite.iv, suite.iv_hash) {
        (IvAlgorithm::Essiv, Some(hash)) => format!("essiv:{}", hash.name()),
        (iv, _) => iv.name().to_owned(),
    };
    Protection {
        encryption: "luks1",
        cipher: Some(suite.algorithm.name().to_owned()),
        mode: Some(suite.mode.name().to_owned()),
        ivgen: Some(ivgen),
        iv_domain: Some(iv_domain),
        hash: Some(header.hash().name().to_owned()),
        key_slots: active_slots(header),
        digest_iterations: Some(header.digest_iterations),
        uuid: Some(shown(&header.uuid_text())),
        key_mark: None,
        in_clear,
    }
}

/// Text from the image, without what a terminal would act on.
pub fn shown(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect()
}

fn active_slots(header: &Header) -> Vec<KeySlotFacts> {
    let slots = header.slots.iter().enumerate();
    slots
        .filter(|(_, slot)| slot.active())
        .map(|(slot, facts)| KeySlotFacts {
            slot,
            iterations: facts.iterations,
        })
        .collect()
}

/// Every weak choice of a LUKS header. `repair`: how to make a new image; `erase`: how to erase a slot.
pub fn luks_findings(
    header: &Header,
    options: &AuditOptions,
    repair: &str,
    erase: &dyn Fn(usize) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let slots = active_slots(header);
    if let Some(evidence) = few_iterations(header, &slots) {
        let fewest = slots.iter().map(|slot| slot.iterations).min();
        let severity = match fewest {
            Some(fewest) if fewest < ITERATIONS_MEDIUM => Severity::Medium,
            _ => Severity::Low,
        };
        findings
            .push(Finding::new(FindingId::FewIterations, severity, evidence).repaired_by(repair));
    }
    let hash = header.hash();
    if matches!(hash, HashAlgorithm::Md5 | HashAlgorithm::Sha1) {
        let severity = if hash == HashAlgorithm::Md5 {
            Severity::Medium
        } else {
            Severity::Low
        };
        let evidence = Evidence::new(format!("keys are derived with {}", hash.name()))
            .number("hash", hash.name());
        findings.push(Finding::new(FindingId::WeakHash, severity, evidence).repaired_by(repair));
    }
    let algorithm = header.suite().algorithm;
    if algorithm.block_bytes() < 16 {
        let evidence = Evidence::new(format!(
            "{} works on blocks of {} bits",
            algorithm.name(),
            algorithm.block_bytes() * 8
        ))
        .number("block-bits", algorithm.block_bytes() * 8);
        findings.push(
            Finding::new(FindingId::SmallBlocks, Severity::Medium, evidence).repaired_by(repair),
        );
    }
    findings.extend(mode_finding(header).map(|finding| finding.repaired_by(repair)));
    findings.extend(slot_finding(&slots, options, erase));
    findings
}

fn few_iterations(header: &Header, slots: &[KeySlotFacts]) -> Option<Evidence> {
    let advised = iterations_advised(header.hash());
    let weak: Vec<&KeySlotFacts> = slots
        .iter()
        .filter(|slot| slot.iterations < advised)
        .collect();
    let fewest = weak.iter().min_by_key(|slot| slot.iterations)?;
    let summary = format!(
        "slot {} has {} iterations of {}; {advised} are advised",
        fewest.slot,
        fewest.iterations,
        header.hash().name()
    );
    Some(
        Evidence::new(summary)
            .number("iterations", fewest.iterations)
            .number("advised", advised)
            .number(
                "slots",
                weak.iter().map(|slot| slot.slot).collect::<Vec<_>>(),
            ),
    )
}

/// CTR, and CBC with IVs that everybody knows. ECB is proved on the ciphertext.
fn mode_finding(header: &Header) -> Option<Finding> {
    let suite = header.suite();
    let words = format!("{}-{}", suite.mode.name(), suite.iv.name());
    match (suite.mode, suite.iv) {
        (CipherMode::Ctr, _) => {
            let evidence = Evidence::new(format!("the mode is {words}"));
            Some(Finding::new(FindingId::Ctr, Severity::Medium, evidence))
        }
        (CipherMode::Cbc, IvAlgorithm::Plain | IvAlgorithm::Plain64) => {
            let evidence = Evidence::new(format!("the mode is {words}"));
            let id = FindingId::CbcPredictableIv;
            Some(Finding::new(id, Severity::Medium, evidence))
        }
        _ => None,
    }
}

fn slot_finding(
    slots: &[KeySlotFacts],
    options: &AuditOptions,
    erase: &dyn Fn(usize) -> String,
) -> Option<Finding> {
    let numbers: Vec<usize> = slots.iter().map(|slot| slot.slot).collect();
    let Some(last) = numbers.last() else {
        let evidence = Evidence::new("all eight key slots are empty").number("active", 0);
        return Some(Finding::new(FindingId::NoKeySlot, Severity::Info, evidence));
    };
    if slots.len() <= options.expected_slots {
        return None;
    }
    let summary = format!(
        "{} key slots are active, {} expected",
        slots.len(),
        options.expected_slots
    );
    let evidence = Evidence::new(summary)
        .number("active", slots.len())
        .number("expected", options.expected_slots)
        .number("slots", numbers.clone());
    let finding = Finding::new(FindingId::ExtraKeySlots, Severity::Low, evidence);
    Some(finding.repaired_by(erase(*last)))
}
