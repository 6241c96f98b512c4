//! Where the fields of an image are: read from healthy images only, with no help from the code under test.

/// A field by its name and its place.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub at: usize,
    pub width: usize,
}

/// Entries named of one table.
const ENTRIES_MAX: usize = 24;

/// The big-endian number there; zero where the image ends before.
pub fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes
        .get(at..at + width)
        .unwrap_or_default()
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn place(bytes: &[u8], at: usize, width: usize) -> usize {
    usize::try_from(number(bytes, at, width)).expect("a 64-bit machine")
}

struct Map<'a> {
    bytes: &'a [u8],
    fields: Vec<Field>,
}

impl Map<'_> {
    fn add(&mut self, name: impl Into<String>, at: usize, width: usize) {
        if at + width <= self.bytes.len() {
            self.fields.push(Field {
                name: name.into(),
                at,
                width,
            });
        }
    }

    fn all(&mut self, prefix: &str, start: usize, list: &[(&str, usize, usize)]) {
        for (name, at, width) in list {
            self.add(format!("{prefix}{name}"), start + at, *width);
        }
    }

    /// A table of 8-byte entries; the places that the filled ones name.
    fn table(&mut self, name: &str, at: usize, count: usize, mask: u64) -> Vec<(usize, usize)> {
        let mut children = Vec::new();
        let mut named = 0;
        for index in 0..count {
            let entry = number(self.bytes, at + index * 8, 8);
            if entry != 0 || index < 3 {
                named += 1;
                if named <= ENTRIES_MAX {
                    self.add(format!("{name}[{index}]"), at + index * 8, 8);
                }
            }
            if entry & mask != 0 {
                let child = usize::try_from(entry & mask).expect("a 64-bit machine");
                children.push((index, child));
            }
        }
        children.truncate(ENTRIES_MAX);
        children
    }
}

pub fn of(driver: &str, bytes: &[u8]) -> Vec<Field> {
    let mut map = Map {
        bytes,
        fields: Vec::new(),
    };
    match driver {
        "qcow2" => qcow2(&mut map),
        "qcow" => qcow1(&mut map),
        _ => luks(&mut map, 0),
    }
    map.fields
}

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

const QCOW2_HEADER: [(&str, usize, usize); 20] = [
    ("magic", 0, 4),
    ("version", 4, 4),
    ("backing_file_offset", 8, 8),
    ("backing_file_size", 16, 4),
    ("cluster_bits", 20, 4),
    ("size", 24, 8),
    ("crypt_method", 32, 4),
    ("l1_size", 36, 4),
    ("l1_table_offset", 40, 8),
    ("refcount_table_offset", 48, 8),
    ("refcount_table_clusters", 56, 4),
    ("nb_snapshots", 60, 4),
    ("snapshots_offset", 64, 8),
    ("incompatible", 72, 8),
    ("compatible", 80, 8),
    ("autoclear", 88, 8),
    ("refcount_order", 96, 4),
    ("header_length", 100, 4),
    ("compression_type", 104, 1),
    ("padding", 105, 7),
];

fn qcow2(map: &mut Map) {
    let bytes = map.bytes;
    let version = number(bytes, 4, 4);
    let cluster = 1usize << number(bytes, 20, 4);
    let header: Vec<_> = QCOW2_HEADER
        .iter()
        .filter(|field| version >= 3 || field.1 < 72)
        .copied()
        .collect();
    map.all("", 0, &header);
    let wide = number(bytes, 72, 8) & 16 != 0 && version >= 3;
    let order = if version >= 3 {
        number(bytes, 96, 4)
    } else {
        4
    };
    let header_length = if version >= 3 {
        place(bytes, 100, 4)
    } else {
        72
    };
    extensions(map, header_length);
    tree(
        map,
        "",
        place(bytes, 40, 8),
        place(bytes, 36, 4),
        cluster,
        wide,
    );
    let refcount_entries = place(bytes, 56, 4) * cluster / 8;
    for (index, block) in map.table(
        "refcount_table",
        place(bytes, 48, 8),
        refcount_entries,
        OFFSET,
    ) {
        let width = (1usize << order) / 8;
        for entry in 0..ENTRIES_MAX {
            map.add(
                format!("refcount_block[{index}][{entry}]"),
                block + entry * width.max(1),
                width.max(1),
            );
        }
    }
    snapshots(map, place(bytes, 64, 8), cluster, wide);
    let name_at = place(bytes, 8, 8);
    for index in 0..place(bytes, 16, 4) {
        map.add(format!("backing_name[{index}]"), name_at + index, 1);
    }
}

fn tree(map: &mut Map, prefix: &str, at: usize, size: usize, cluster: usize, wide: bool) {
    for (index, table) in map.table(&format!("{prefix}l1"), at, size, OFFSET) {
        let name = format!("{prefix}l2[{index}]");
        map.table(&name, table, cluster / 8, OFFSET);
        let _ = wide;
        for entry in 0..cluster / 8 {
            let value = number(map.bytes, table + entry * 8, 8);
            if value >> 62 == 1 {
                payload(map, &format!("{name}[{entry}].payload"), value, cluster);
            }
        }
    }
}

/// The first bytes of a compressed cluster.
fn payload(map: &mut Map, name: &str, descriptor: u64, cluster: usize) {
    let bits = 62 - (cluster.trailing_zeros() - 8);
    let at = usize::try_from(descriptor & ((1 << bits) - 1)).expect("a 64-bit machine");
    for index in 0..12 {
        map.add(format!("{name}[{index}]"), at + index, 1);
    }
}

fn extensions(map: &mut Map, start: usize) {
    let bytes = map.bytes;
    let mut at = start;
    for index in 0..8 {
        let kind = number(bytes, at, 4);
        let length = place(bytes, at + 4, 4);
        map.add(format!("extension[{index}].type"), at, 4);
        map.add(format!("extension[{index}].length"), at + 4, 4);
        if kind == 0 {
            break;
        }
        let data = at + 8;
        match kind {
            // Full disk encryption header: offset and length.
            0x0537_be77 => {
                map.all("crypto.", data, &[("offset", 0, 8), ("length", 8, 8)]);
                luks(map, place(bytes, data, 8));
            }
            0x2385_2875 => {
                map.all(
                    "bitmaps.",
                    data,
                    &[
                        ("count", 0, 4),
                        ("reserved", 4, 4),
                        ("directory_size", 8, 8),
                        ("directory_offset", 16, 8),
                    ],
                );
                bitmaps(map, place(bytes, data + 16, 8), place(bytes, data, 4));
            }
            _ => {
                for byte in 0..length.min(8) {
                    map.add(format!("extension[{index}].data[{byte}]"), data + byte, 1);
                }
            }
        }
        at = data + length.div_ceil(8) * 8;
    }
}

fn bitmaps(map: &mut Map, start: usize, count: usize) {
    let mut at = start;
    for index in 0..count {
        map.all(
            &format!("bitmap[{index}]."),
            at,
            &[
                ("table_offset", 0, 8),
                ("table_size", 8, 4),
                ("flags", 12, 4),
                ("type", 16, 1),
                ("granularity", 17, 1),
                ("name_size", 18, 2),
                ("extra_size", 20, 4),
                ("name", 24, 1),
            ],
        );
        let (table, size) = (place(map.bytes, at, 8), place(map.bytes, at + 8, 4));
        map.table(&format!("bitmap[{index}].table"), table, size, OFFSET);
        let name = place(map.bytes, at + 18, 2);
        let extra = place(map.bytes, at + 20, 4);
        at += (24 + name + extra).div_ceil(8) * 8;
    }
}

fn snapshots(map: &mut Map, start: usize, cluster: usize, wide: bool) {
    let mut at = start;
    for index in 0..place(map.bytes, 60, 4) {
        let prefix = format!("snapshot[{index}].");
        map.all(
            &prefix,
            at,
            &[
                ("l1_table_offset", 0, 8),
                ("l1_size", 8, 4),
                ("id_size", 12, 2),
                ("name_size", 14, 2),
                ("date", 16, 4),
                ("nanoseconds", 20, 4),
                ("clock", 24, 8),
                ("vm_state_size", 32, 4),
                ("extra_size", 36, 4),
            ],
        );
        let extra = place(map.bytes, at + 36, 4);
        for piece in 0..extra / 8 {
            map.add(format!("{prefix}extra[{piece}]"), at + 40 + piece * 8, 8);
        }
        let names = place(map.bytes, at + 12, 2) + place(map.bytes, at + 14, 2);
        for byte in 0..names {
            map.add(format!("{prefix}names[{byte}]"), at + 40 + extra + byte, 1);
        }
        let (l1, size) = (place(map.bytes, at, 8), place(map.bytes, at + 8, 4));
        tree(map, &prefix, l1, size, cluster, wide);
        at += (40 + extra + names).div_ceil(8) * 8;
    }
}

fn qcow1(map: &mut Map) {
    map.all(
        "",
        0,
        &[
            ("magic", 0, 4),
            ("version", 4, 4),
            ("backing_file_offset", 8, 8),
            ("backing_file_size", 16, 4),
            ("mtime", 20, 4),
            ("size", 24, 8),
            ("cluster_bits", 32, 1),
            ("l2_bits", 33, 1),
            ("padding", 34, 2),
            ("crypt_method", 36, 4),
            ("l1_table_offset", 40, 8),
        ],
    );
    let bytes = map.bytes;
    let reach = 1usize << (number(bytes, 32, 1) + number(bytes, 33, 1));
    let size = place(bytes, 24, 8).div_ceil(reach);
    for (index, table) in map.table("l1", place(bytes, 40, 8), size, u64::MAX >> 1) {
        let name = format!("l2[{index}]");
        let entries = 1usize << number(bytes, 33, 1);
        for (entry, value) in map.table(&name, table, entries, u64::MAX) {
            if value >> 63 == 1 {
                let start = value & ((1 << (63 - number(bytes, 32, 1))) - 1);
                for byte in 0..12 {
                    map.add(format!("{name}[{entry}].payload[{byte}]"), start + byte, 1);
                }
            }
        }
    }
    let name_at = place(bytes, 8, 8);
    for index in 0..place(bytes, 16, 4) {
        map.add(format!("backing_name[{index}]"), name_at + index, 1);
    }
}

fn luks(map: &mut Map, start: usize) {
    map.all(
        "luks.",
        start,
        &[
            ("magic", 0, 6),
            ("version", 6, 2),
            ("cipher", 8, 4),
            ("mode", 40, 4),
            ("mode_end", 44, 4),
            ("hash", 72, 4),
            ("payload_offset", 104, 4),
            ("key_bytes", 108, 4),
            ("digest", 112, 1),
            ("digest_salt", 132, 1),
            ("digest_iterations", 164, 4),
            ("uuid", 168, 1),
        ],
    );
    for slot in 0..8 {
        map.all(
            &format!("luks.slot[{slot}]."),
            start + 208 + slot * 48,
            &[
                ("active", 0, 4),
                ("iterations", 4, 4),
                ("salt", 8, 1),
                ("key_offset", 40, 4),
                ("stripes", 44, 4),
            ],
        );
    }
}
