//! Changes of an image: a few bytes each, so that a finding can be told in words.

use std::fmt;

use crate::fields::{Field, number};
use crate::random::Random;
use crate::seeds::Seed;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bytes at a place; the name of the field that was there.
    Set {
        name: String,
        at: usize,
        bytes: Vec<u8>,
    },
    /// The file ends here, or is longer than it was.
    Length(usize),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Set { name, at, bytes } => {
                write!(f, "{name} at {at:#x} =")?;
                bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            Self::Length(length) => write!(f, "the file's length = {length}"),
        }
    }
}

impl Change {
    pub fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Set { at, bytes, .. } => {
                if image.len() < at + bytes.len() {
                    image.resize(at + bytes.len(), 0);
                }
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Length(length) => image.resize(*length, 0),
        }
    }

    /// Gives one byte its old value; `false` where it has it.
    pub fn restore(&mut self, index: usize, original: &[u8]) -> bool {
        let Self::Set { at, bytes, .. } = self else {
            return false;
        };
        let (Some(byte), Some(&old)) = (bytes.get_mut(index), original.get(*at + index)) else {
            return false;
        };
        let changed = *byte != old;
        *byte = old;
        changed
    }

    /// The field's name.
    pub fn field(&self) -> &str {
        match self {
            Self::Set { name, .. } => name,
            Self::Length(_) => "length",
        }
    }

    pub fn random(seed: &Seed, random: &mut Random) -> Self {
        match random.below(24) {
            0 => Self::Length(shorter(seed, random)),
            1 => {
                let at = random.below(seed.bytes.len());
                let byte = random.next().to_be_bytes()[0];
                set("any byte", at, vec![byte])
            }
            // Headers get their share although tables have many more entries.
            2..=8 => field_change(seed, random, |field| field.at < 112),
            _ => field_change(seed, random, |_| true),
        }
    }
}

fn set(name: &str, at: usize, bytes: Vec<u8>) -> Change {
    Change::Set {
        name: name.to_owned(),
        at,
        bytes,
    }
}

fn shorter(seed: &Seed, random: &mut Random) -> usize {
    let length = seed.bytes.len();
    match random.below(4) {
        0 => random.below(length + 1),
        1 => random.below(length / 512 + 1) * 512,
        2 => random.below(length.min(1024)),
        _ => length + random.below(8) * 512 + random.below(3),
    }
}

fn field_change(seed: &Seed, random: &mut Random, wanted: impl Fn(&Field) -> bool) -> Change {
    let chosen: Vec<&Field> = seed.fields.iter().filter(|field| wanted(field)).collect();
    let field = *random.pick(&chosen);
    let old = number(&seed.bytes, field.at, field.width.min(8));
    let mut value = new_value(seed, random, old, field.width);
    if field.name.ends_with("iterations") {
        // Billions of rounds are a case of the hostile suite; here they would only cost time.
        value %= 5000;
    }
    let bytes = value.to_be_bytes();
    set(
        &field.name,
        field.at,
        bytes[8 - field.width.min(8)..].to_vec(),
    )
}

fn new_value(seed: &Seed, random: &mut Random, old: u64, width: usize) -> u64 {
    let bits = width * 8;
    let amounts = [1, 2, 8, 256, 511, 512, 1024, 4096, 65_536];
    match random.below(12) {
        0 | 1 => old ^ 1 << random.below(bits),
        2 => 0,
        3 => u64::MAX,
        4 => old.wrapping_add(*random.pick(&amounts)),
        5 => old.wrapping_sub(*random.pick(&amounts)),
        6 => 1 << random.below(bits),
        7 => (1u64 << random.below(bits)).wrapping_sub(1),
        8 => random.next() % 64,
        // Two names for one place.
        9 | 10 => {
            let same: Vec<&Field> = seed
                .fields
                .iter()
                .filter(|field| field.width == width)
                .collect();
            let other = *random.pick(&same);
            number(&seed.bytes, other.at, width.min(8))
        }
        _ if bits >= 64 => old ^ 1 << *random.pick(&[63, 62, 0, 61, 57, 56, 9, 1]),
        _ => random.next(),
    }
}
