//! Every cap, in one place. "spec": the format demands it; "QEMU": the real tools enforce it;
//! "ours": stricter than both, listed in `docs/differences.md`.

/// spec, QEMU: smallest cluster exponent of qcow2 (512 bytes).
pub const QCOW2_MIN_CLUSTER_BITS: u32 = 9;
/// spec, QEMU: largest cluster exponent of qcow2 (2 MiB).
pub const QCOW2_MAX_CLUSTER_BITS: u32 = 21;
/// QEMU: bytes of an L1 table, active or of a snapshot.
pub const QCOW2_MAX_L1_BYTES: u64 = 32 << 20;
/// QEMU: bytes of a refcount table.
pub const QCOW2_MAX_REFCOUNT_TABLE_BYTES: u64 = 8 << 20;
/// QEMU: number of internal snapshots.
pub const QCOW2_MAX_SNAPSHOTS: u32 = 65_536;
/// QEMU: bytes of a snapshot table.
pub const QCOW2_MAX_SNAPSHOT_TABLE_BYTES: u64 = 64 << 20;
/// QEMU: bytes of extra data in one snapshot table entry.
pub const QCOW2_MAX_SNAPSHOT_EXTRA_BYTES: u32 = 1024;
/// QEMU: number of dirty bitmaps.
pub const QCOW2_MAX_BITMAPS: u32 = 65_535;
/// QEMU: bytes of the bitmap directory.
pub const QCOW2_MAX_BITMAP_DIRECTORY_BYTES: u64 = 67_107_840;
/// QEMU: entries of a bitmap's table.
pub const QCOW2_MAX_BITMAP_TABLE_ENTRIES: u32 = 0x800_0000;
/// QEMU: bytes of a bitmap's data.
pub const QCOW2_MAX_BITMAP_DATA_BYTES: u64 = 512 << 20;
/// QEMU: bytes of a bitmap's name.
pub const QCOW2_MAX_BITMAP_NAME_BYTES: u16 = 1023;
/// QEMU: smallest and largest granularity of a bitmap, as exponents.
pub const QCOW2_BITMAP_GRANULARITY_BITS: std::ops::RangeInclusive<u32> = 9..=31;
/// ours: table entries of all bitmaps of an image. The real tools read every table, however often it is named.
pub const QCOW2_MAX_BITMAP_ENTRIES_TOTAL: u64 = 1 << 25;
/// ours: bytes of all bitmaps' data that are loaded for writing. The real tools take what the image asks for.
pub const QCOW2_MAX_BITMAP_BYTES_TOTAL: u64 = 2 << 30;
/// spec, QEMU: bytes of a backing file name.
pub const MAX_BACKING_NAME_BYTES: u32 = 1023;
/// QEMU: bytes of one request.
pub const MAX_REQUEST_BYTES: u64 = 2_147_483_136;
/// QEMU: bytes of the longest node.
pub const MAX_NODE_BYTES: u64 = (1 << 63) - (1 << 30);
/// QEMU: number of L1 entries of a qcow v1 image that can be read in one request.
pub const QCOW1_MAX_L1_ENTRIES: u64 = 268_435_455;
/// ours: depth of a backing chain. The real tools follow a loop until memory is gone.
pub const MAX_CHAIN_DEPTH: usize = 256;
/// ours: PBKDF2 iterations of one key slot or digest (the real tools spin for minutes).
pub const LUKS_MAX_ITERATIONS: u32 = 100_000_000;
/// ours: lines that one check says; what is found beyond is only counted. The real tools write gigabytes.
pub const CHECK_MAX_LINES: u64 = 100_000;
/// ours: bytes of the L1 tables of all states that an audit holds at a time.
pub const AUDIT_MAX_L1_BYTES: u64 = 256 << 20;
