//! The naive oracle: every sector of every state of a small qcow2 image, read with a parser of its own.

use std::collections::BTreeMap;

/// What a count over all pairs gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Guest sectors with several places.
    pub shared: u64,
    /// Guest sectors of which two places begin with the same 16 bytes.
    pub equal: u64,
    /// Guest sectors of which two places are the same from end to end.
    pub identical: u64,
    /// Guest sectors of which two places differ.
    pub different: u64,
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

fn number(image: &[u8], at: u64, width: u64) -> u64 {
    (at..at + width).fold(0, |value, at| value << 8 | u64::from(image[index(at)]))
}

/// Bytes of what has a place of its own: a cluster, or a subcluster (incompatible bit 4).
fn unit(image: &[u8]) -> u64 {
    let size = 1 << number(image, 20, 4);
    if extended(image) { size / 32 } else { size }
}

fn extended(image: &[u8]) -> bool {
    number(image, 72, 8) & 16 != 0
}

/// Host offset of each guest unit, for the table at `l1`.
fn units(image: &[u8], l1: u64, entries: u64) -> BTreeMap<u64, u64> {
    const MASK: u64 = 0x00ff_ffff_ffff_fe00;
    let size = 1 << number(image, 20, 4);
    let width = if extended(image) { 16 } else { 8 };
    let mut found = BTreeMap::new();
    for index in 0..entries {
        let table = number(image, l1 + index * 8, 8) & MASK;
        if table == 0 {
            continue;
        }
        for entry in 0..size / width {
            let host = number(image, table + entry * width, 8);
            assert_eq!(
                host >> 62 & 1,
                0,
                "compressed clusters are not counted here"
            );
            let guest = index * (size / width) + entry;
            if extended(image) {
                let data = number(image, table + entry * width + 12, 4);
                for one in (0..32).filter(|one| data >> one & 1 == 1) {
                    found.insert(guest * 32 + one, (host & MASK) + one * (size / 32));
                }
            } else if host & MASK != 0 && host & 1 == 0 {
                found.insert(guest, host & MASK);
            }
        }
    }
    found
}

/// All states of the disk: the active one, then the snapshots.
fn states(image: &[u8]) -> Vec<BTreeMap<u64, u64>> {
    let mut states = vec![units(image, number(image, 40, 8), number(image, 36, 4))];
    let mut entry = number(image, 64, 8);
    for _ in 0..number(image, 60, 4) {
        states.push(units(
            image,
            number(image, entry, 8),
            number(image, entry + 8, 4),
        ));
        let lengths = [number(image, entry + 12, 2), number(image, entry + 14, 2)];
        let length = 40 + number(image, entry + 36, 4) + lengths[0] + lengths[1];
        entry = (entry + length).next_multiple_of(8);
    }
    states
}

/// Counts the disk (`vm_state` false) or what lies behind it.
pub fn count(image: &[u8], vm_state: bool) -> Count {
    let size = unit(image);
    let end = number(image, 24, 8).div_ceil(size);
    let states = states(image);
    let guests: std::collections::BTreeSet<u64> = states
        .iter()
        .flat_map(|state| state.keys().copied())
        .collect();
    let mut count = Count::default();
    for guest in guests
        .into_iter()
        .filter(|guest| (*guest >= end) == vm_state)
    {
        let mut hosts: Vec<u64> = states
            .iter()
            .filter_map(|state| state.get(&guest).copied())
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        if hosts.len() < 2 {
            continue;
        }
        for sector in 0..size / 512 {
            count.shared += 1;
            let copy = |host: u64| {
                let start = index(host + sector * 512);
                &image[start..start + 512]
            };
            let mut seen = (false, false, false);
            for (index, one) in hosts.iter().enumerate() {
                for other in &hosts[index + 1..] {
                    let (one, other) = (copy(*one), copy(*other));
                    seen.0 |= one[..16] == other[..16];
                    seen.1 |= one == other;
                    seen.2 |= one != other;
                }
            }
            count.equal += u64::from(seen.0);
            count.identical += u64::from(seen.1);
            count.different += u64::from(seen.2);
        }
    }
    count
}
