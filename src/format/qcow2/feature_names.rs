//! The feature name table: names for feature bits (qcow2 §2).

use crate::base::bytes::Reader;

/// Bytes of an entry of the table.
pub const ENTRY_BYTES: usize = 48;
const NAME_BYTES: usize = 46;

/// Which of the three bit fields a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FeatureKind {
    /// `incompatible_features`
    Incompatible = 0,
    /// `compatible_features`
    Compatible = 1,
    /// `autoclear_features`
    Autoclear = 2,
}

/// One entry as stored: the image decides kind and bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureName {
    /// The kind's number.
    pub kind: u8,
    /// The bit's number.
    pub bit: u8,
    /// The name, without its padding.
    pub name: Vec<u8>,
}

/// The table that the real tool writes, whatever was read.
const WRITTEN: [(FeatureKind, u8, &str); 8] = [
    (FeatureKind::Incompatible, 0, "dirty bit"),
    (FeatureKind::Incompatible, 1, "corrupt bit"),
    (FeatureKind::Incompatible, 2, "external data file"),
    (FeatureKind::Incompatible, 3, "compression type"),
    (FeatureKind::Incompatible, 4, "extended L2 entries"),
    (FeatureKind::Compatible, 0, "lazy refcounts"),
    (FeatureKind::Autoclear, 0, "bitmaps"),
    (FeatureKind::Autoclear, 1, "raw external data"),
];

/// The table's bytes.
pub fn encode() -> Vec<u8> {
    let mut out = Vec::with_capacity(WRITTEN.len() * ENTRY_BYTES);
    for (kind, bit, name) in WRITTEN {
        out.push(kind as u8);
        out.push(bit);
        out.extend(name.as_bytes());
        out.resize(out.len() + NAME_BYTES - name.len(), 0);
    }
    out
}

/// The entries of a stored table; a short last one is ignored. The extension's length bounds their number.
pub fn parse(data: &[u8]) -> Vec<FeatureName> {
    let mut reader = Reader::new(data);
    let mut names = Vec::new();
    while let Ok([kind, bit, name @ ..]) = reader.array::<ENTRY_BYTES>() {
        let end = name
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(NAME_BYTES);
        names.push(FeatureName {
            kind,
            bit,
            name: name[..end].to_vec(),
        });
    }
    names
}

/// The unknown incompatible bits `mask` in words: names from the table, then what is left as a number.
pub fn unknown_incompatible(mask: u64, names: &[FeatureName]) -> String {
    let mut rest = mask;
    let mut words = Vec::new();
    for entry in names {
        // The real tool shifts modulo 64, and a name without letters names nothing.
        let bit = 1_u64.wrapping_shl(u32::from(entry.bit));
        let names_it = entry.kind == FeatureKind::Incompatible as u8 && !entry.name.is_empty();
        if names_it && rest & bit != 0 {
            words.push(String::from_utf8_lossy(&entry.name).into_owned());
            rest &= !bit;
        }
    }
    if rest != 0 {
        words.push(format!("Unknown incompatible feature: {rest:x}"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests;
