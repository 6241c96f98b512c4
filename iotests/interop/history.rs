//! Seeded histories: the same `qemu-io` commands for whoever plays them.

use std::collections::BTreeSet;

use crate::matrix::{Case, Format};

/// `SplitMix64`: a few lines, and the same on every machine.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A range inside the disk; mostly of whole sectors.
fn range(random: &mut Random, case: &Case) -> (u64, u64) {
    let size = case.size();
    let longest = (3 * case.cluster_size).clamp(4096, 300_000);
    let (mut offset, mut length) = (random.below(size), 1 + random.below(longest));
    if random.below(4) != 0 {
        offset &= !511;
        length = (length | 511) + 1;
    }
    (offset, length.min(size - offset))
}

/// What earlier sessions did to the disk.
#[derive(Default)]
struct Past {
    /// The clusters that may still be written compressed: a compressed write onto an allocated cluster is refused by
    /// design.
    untouched: Vec<bool>,
    compressed: BTreeSet<usize>,
}

/// One session of `qemu-io` commands.
fn session(random: &mut Random, case: &Case, past: &mut Past) -> Vec<String> {
    let Past {
        untouched,
        compressed,
    } = past;
    // What a partial write leaves of a compressed cluster the real tool stores in clear there (docs/differences.md).
    let loses_the_rest = case.format == Format::Qcow1 && case.is_encrypted();
    let cluster = match case.format {
        Format::Qcow1 if case.backing != crate::matrix::Backing::None => 512,
        Format::Qcow1 => 4096,
        _ => case.cluster_size,
    };
    untouched.resize(
        usize::try_from(case.size().div_ceil(cluster)).expect("a few clusters"),
        true,
    );
    let mut commands = Vec::new();
    // The real tool writes the next compressed cluster behind the last one, whatever lies there by then
    // (docs/differences.md): no more of them once one of this session may have been freed.
    let (mut packed, mut freed) = (BTreeSet::new(), false);
    for _ in 0..10 {
        let (offset, length) = range(random, case);
        let pattern = 1 + random.below(255);
        let command = match random.below(8) {
            0 => format!("write -z {offset} {length}"),
            1 if case.format == Format::Qcow2V3 => format!("write -z -u {offset} {length}"),
            2 => {
                let start = offset & !511;
                format!(
                    "discard {start} {}",
                    ((length | 511) + 1).min(case.size() - start)
                )
            }
            3 | 4 if case.compression != "none" && !freed => {
                let index =
                    usize::try_from(random.below(untouched.len() as u64)).expect("an index");
                if !untouched[index] || (index as u64 + 1) * cluster > case.size() {
                    continue;
                }
                untouched[index] = false;
                packed.insert(index);
                compressed.insert(index);
                commands.push(format!(
                    "write -c -P {pattern} {} {cluster}",
                    index as u64 * cluster
                ));
                continue;
            }
            _ => format!("write -P {pattern} {offset} {length}"),
        };
        let touched =
            offset / cluster..=((offset + length + 511) / cluster).min(untouched.len() as u64 - 1);
        let touched = touched.map(|index| usize::try_from(index).expect("an index"));
        if loses_the_rest && touched.clone().any(|index| compressed.contains(&index)) {
            continue;
        }
        for index in touched {
            untouched[index] = false;
            freed |= packed.contains(&index);
        }
        commands.push(command);
    }
    commands.push("flush".to_owned());
    commands
}

/// The sessions of a case: one before each snapshot and two after the last.
pub fn sessions(case: &Case, seed: u64) -> Vec<Vec<String>> {
    let mut random = Random::new(seed);
    let mut past = Past::default();
    (0..case.snapshots + 2)
        .map(|_| session(&mut random, case, &mut past))
        .collect()
}
