//! The faults: which bytes of which healthy image change, and what must be said.

/// What the drop-ins must answer.
#[derive(Clone, Copy)]
pub enum Expect {
    /// The real tools' output, byte for byte.
    SameAsReal,
    /// Stricter than the real tools on purpose (`docs/differences.md`): an open for I/O says these words.
    Stricter(&'static str),
}

/// One fault.
pub struct Fault {
    pub name: &'static str,
    pub fixture: &'static str,
    patches: Vec<(usize, Vec<u8>)>,
    /// The file ends here.
    cut: Option<usize>,
    /// The `qemu-io` command that is tried.
    pub io: &'static str,
    pub expect: Expect,
}

impl Fault {
    fn new(name: &'static str, fixture: &'static str) -> Self {
        Self {
            name,
            fixture,
            patches: Vec::new(),
            cut: None,
            io: "read 0 64k",
            expect: Expect::SameAsReal,
        }
    }

    fn byte(mut self, offset: usize, value: u8) -> Self {
        self.patches.push((offset, vec![value]));
        self
    }

    fn be16(mut self, offset: usize, value: u16) -> Self {
        self.patches.push((offset, value.to_be_bytes().to_vec()));
        self
    }

    fn be32(mut self, offset: usize, value: u32) -> Self {
        self.patches.push((offset, value.to_be_bytes().to_vec()));
        self
    }

    fn be64(mut self, offset: usize, value: u64) -> Self {
        self.patches.push((offset, value.to_be_bytes().to_vec()));
        self
    }

    fn bytes(mut self, offset: usize, value: &[u8]) -> Self {
        self.patches.push((offset, value.to_vec()));
        self
    }

    fn cut(mut self, length: usize) -> Self {
        self.cut = Some(length);
        self
    }

    fn io(mut self, command: &'static str) -> Self {
        self.io = command;
        self
    }

    fn stricter(mut self, words: &'static str) -> Self {
        self.expect = Expect::Stricter(words);
        self
    }

    /// The healthy bytes with the fault in them.
    pub fn apply(&self, healthy: &[u8]) -> Vec<u8> {
        let mut bytes = healthy.to_vec();
        for (offset, patch) in &self.patches {
            if bytes.len() < offset + patch.len() {
                bytes.resize(offset + patch.len(), 0);
            }
            bytes[*offset..offset + patch.len()].copy_from_slice(patch);
        }
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        bytes
    }
}

pub fn all() -> Vec<Fault> {
    let mut faults = qcow2_header();
    faults.extend(qcow2_tables());
    faults.extend(qcow2_extensions());
    faults.extend(qcow2_snapshots());
    faults.extend(qcow2_mappings());
    faults.extend(qcow1());
    faults.extend(luks_header());
    faults.extend(luks_slots());
    faults.extend(luks_inside_qcow2());
    faults
}

fn qcow2_header() -> Vec<Fault> {
    let q = |name| Fault::new(name, "qcow2");
    vec![
        q("qcow2 magic").byte(0, b'X'),
        q("qcow2 version 0").be32(4, 0),
        q("qcow2 version 4").be32(4, 4),
        q("qcow2 version 2^32-1").be32(4, u32::MAX),
        q("qcow2 cluster_bits 8").be32(20, 8),
        q("qcow2 cluster_bits 22").be32(20, 22),
        q("qcow2 cluster_bits 63").be32(20, 63),
        q("qcow2 cluster_bits 2^32-1").be32(20, u32::MAX),
        q("qcow2 cluster_bits 9 over 64k tables").be32(20, 9),
        q("qcow2 header_length 103").be32(100, 103),
        q("qcow2 header_length 105").be32(100, 105),
        q("qcow2 header_length 128k").be32(100, 131_072),
        q("qcow2 header_length 2^32-1").be32(100, u32::MAX),
        q("qcow2 backing offset past the first cluster")
            .be64(8, 65_537)
            .be32(16, 4),
        q("qcow2 backing offset 2^63").be64(8, 1 << 63).be32(16, 4),
        q("qcow2 backing name 1024").be64(8, 1024).be32(16, 1024),
        q("qcow2 backing name 2^32-1")
            .be64(8, 1024)
            .be32(16, u32::MAX),
        q("qcow2 compression type 2").byte(104, 2),
        q("qcow2 compression type 1 without its bit").byte(104, 1),
        q("qcow2 compression bit without a type").be64(72, 8),
        q("qcow2 unknown incompatible bit 32").be64(72, 1 << 32),
        q("qcow2 unknown incompatible bits").be64(72, 0xffff_ffff_ffff_ff00),
        q("qcow2 unknown autoclear bit").be64(88, 1 << 40),
        q("qcow2 unknown compatible bit").be64(80, 1 << 40),
        q("qcow2 dirty, read-only").be64(72, 1),
        q("qcow2 corrupt, read-only").be64(72, 2),
        q("qcow2 refcount_order 7").be32(96, 7),
        q("qcow2 refcount_order 2^32-1").be32(96, u32::MAX),
        q("qcow2 size 0").be64(24, 0),
        q("qcow2 size 513").be64(24, 513).io("read 0 512"),
        q("qcow2 size 2^63").be64(24, 1 << 63),
        q("qcow2 size 2^64-1").be64(24, u64::MAX),
        q("qcow2 size 2^50").be64(24, 1 << 50),
        q("qcow2 crypt_method 3").be32(32, 3),
        q("qcow2 crypt_method 1").be32(32, 1),
        q("qcow2 crypt_method 2 without its extension").be32(32, 2),
        q("qcow2 cut to 3 bytes").cut(3),
        q("qcow2 cut to 71 bytes").cut(71),
        q("qcow2 cut to 103 bytes").cut(103),
        q("qcow2 cut to 112 bytes").cut(112),
        q("qcow2 cut inside the feature table").cut(300),
        q("qcow2 cut to one cluster").cut(65_536),
        q("qcow2 cut to two clusters").cut(131_072),
        q("qcow2 empty").cut(0),
        Fault::new("qcow2 v2 crypt_method 9", "qcow2-v2").be32(32, 9),
        Fault::new("qcow2 v2 refcounts gone", "qcow2-v2").be32(56, 0),
    ]
}

fn qcow2_tables() -> Vec<Fault> {
    let q = |name| Fault::new(name, "qcow2");
    vec![
        q("qcow2 l1_size 0").be32(36, 0),
        q("qcow2 l1_size 2^32-1").be32(36, u32::MAX),
        q("qcow2 l1_size 4194305").be32(36, 4_194_305),
        q("qcow2 l1_size 4194304 over nothing").be32(36, 4_194_304),
        q("qcow2 L1 unaligned").be64(40, 0x30001),
        q("qcow2 L1 at 2^63").be64(40, 1 << 63),
        q("qcow2 L1 near 2^63").be64(40, (1 << 63) - 65_536),
        q("qcow2 L1 at 0").be64(40, 0),
        q("qcow2 L1 past the end").be64(40, 1 << 40),
        q("qcow2 refcount table 0 clusters").be32(56, 0),
        q("qcow2 refcount table 129 clusters").be32(56, 129),
        q("qcow2 refcount table 2^32-1 clusters").be32(56, u32::MAX),
        q("qcow2 refcount table unaligned").be64(48, 0x10001),
        q("qcow2 refcount table at 2^63").be64(48, 1 << 63),
        q("qcow2 refcount table at 0").be64(48, 0),
        q("qcow2 refcount block unaligned").be64(0x10000, 0x20200),
        q("qcow2 refcount block past the end").be64(0x10000, 1 << 40),
        q("qcow2 refcount block is the header").be64(0x10000, 0),
        q("qcow2 refcount block reserved bits").be64(0x10000, 0x20001),
        q("qcow2 refcounts zeroed").bytes(0x20000, &[0; 8]),
        q("qcow2 refcounts high").be16(0x20000, 7).be16(0x20002, 9),
        q("qcow2 leak at the end of the file").be16(0x20008, 1),
    ]
}

fn qcow2_extensions() -> Vec<Fault> {
    let q = |name| Fault::new(name, "qcow2");
    vec![
        q("extension past the cluster").be32(0x74, 65_536),
        q("extension length 2^32-1").be32(0x74, u32::MAX),
        q("extension length 2^31").be32(0x74, 0x8000_0000),
        q("backing format too long")
            .be32(0x70, 0xe279_2aca)
            .be32(0x74, 16),
        q("backing format ok, no backing file")
            .be32(0x70, 0xe279_2aca)
            .be32(0x74, 15),
        q("unknown extension").be32(0x70, 0x1234_5678),
        q("crypto extension without crypt_method")
            .be32(0x70, 0x0537_be77)
            .be32(0x74, 16),
        q("crypto extension without crypt_method, length 24")
            .be32(0x70, 0x0537_be77)
            .be32(0x74, 24),
        q("data file name without its bit")
            .be32(0x70, 0x4441_5441)
            .be32(0x74, 16),
        q("feature names of odd length")
            .be32(0x74, 100)
            .be64(72, 1 << 20),
        q("END early").be32(0x70, 0),
    ]
}

fn qcow2_snapshots() -> Vec<Fault> {
    let q = |name| Fault::new(name, "qcow2");
    vec![
        q("65537 snapshots").be32(60, 65_537),
        q("2^32-1 snapshots").be32(60, u32::MAX),
        q("snapshot table unaligned").be64(64, 1).be32(60, 0),
        q("snapshot table at 2^63").be64(64, 1 << 63).be32(60, 1),
        q("one snapshot over the header").be64(64, 0).be32(60, 1),
        q("one snapshot past the end").be64(64, 1 << 30).be32(60, 1),
        q("snapshot extra data 1032")
            .be64(64, 0x40000)
            .be32(60, 1)
            .be32(0x40024, 1032),
        q("snapshot extra data 2^32-1")
            .be64(64, 0x40000)
            .be32(60, 1)
            .be32(0x40024, u32::MAX),
        q("snapshot L1 huge")
            .be64(64, 0x40000)
            .be32(60, 1)
            .be64(0x40000, 0x30000)
            .be32(0x40008, u32::MAX),
        q("snapshot L1 unaligned")
            .be64(64, 0x40000)
            .be32(60, 1)
            .be64(0x40000, 0x30001)
            .be32(0x40008, 1),
        Fault::new("snapshots of a healthy image", "qcow2-snapshots"),
    ]
}

fn qcow2_mappings() -> Vec<Fault> {
    let d = |name| Fault::new(name, "qcow2-data");
    let l2 = 0x40000;
    vec![
        d("L1 entry unaligned").be64(0x30000, 0x8000_0000_0004_0200),
        d("L1 entry reserved bits").be64(0x30000, 0xbf00_0000_0004_01fe),
        d("L1 entry past the end").be64(0x30000, 0x8000_0000_4000_0000),
        d("L1 entry -> header").be64(0x30000, 0x8000_0000_0000_0000),
        d("L1 entry -> itself").be64(0x30000, 0x8000_0000_0003_0000),
        d("L2 entry unaligned").be64(l2, 0x8000_0000_0005_0200),
        d("L2 entry reserved bits").be64(l2, 0xbf00_0000_0005_01fe),
        d("L2 entry past the end").be64(l2, 0x8000_0000_4000_0000),
        d("L2 entry at 2^56").be64(l2, 0x80ff_ffff_ffff_0000),
        d("L2 entry -> L1").be64(l2, 0x8000_0000_0003_0000),
        d("L2 entry -> L2").be64(l2, 0x8000_0000_0004_0000),
        d("L2 entry COPIED, offset 0").be64(l2, 0x8000_0000_0000_0000),
        d("L2 entry zero plain").be64(l2, 1),
        d("L2 entry zero allocated").be64(l2, 0x8000_0000_0005_0001),
        d("L2 entry zero, unaligned").be64(l2, 0x8000_0000_0005_0201),
        d("L2 entry not COPIED").be64(l2, 0x0000_0000_0005_0000),
        d("two L2 entries, one cluster").be64(l2, 0x8000_0000_0006_0000),
        d("L2 entry compressed over nothing").be64(l2, 0x4000_0000_4000_0000),
        d("L2 entry compressed over data").be64(l2, 0x4000_0000_0005_0000),
        d("L2 entry compressed with COPIED").be64(l2, 0xc000_0000_0005_0000),
        d("L2 entry compressed at the largest offset").be64(l2, 0x7fff_ffff_ffff_ffff),
        d("refcount of a data cluster 0").be16(0x2000a, 0),
        d("refcount of a data cluster 2").be16(0x2000a, 2),
        d("data cut away").cut(0x50200),
        Fault::new("v2 zero flag", "qcow2-v2").be64(l2, 0x8000_0000_0005_0001),
        Fault::new("compressed payload damaged", "qcow2-compressed").bytes(0x50000, &[0xff; 8]),
        Fault::new("compressed payload zeroed", "qcow2-compressed").bytes(0x50000, &[0; 64]),
        Fault::new("compressed file cut", "qcow2-compressed").cut(0x50010),
        Fault::new("compressed read over both", "qcow2-compressed")
            .bytes(0x50000, &[0xff; 8])
            .io("read 64k 64k"),
        Fault::new("zstd payload damaged", "qcow2-zstd").bytes(0x50000, &[0xff; 8]),
        Fault::new("zstd file cut", "qcow2-zstd").cut(0x50008),
    ]
}

fn qcow1() -> Vec<Fault> {
    let q = |name| Fault::new(name, "qcow1");
    vec![
        q("qcow1 magic").byte(0, b'X'),
        q("qcow1 version 0").be32(4, 0),
        q("qcow1 version 2").be32(4, 2),
        q("qcow1 version 9").be32(4, 9),
        q("qcow1 size 0").be64(24, 0),
        q("qcow1 size 1").be64(24, 1),
        q("qcow1 size 511").be64(24, 511),
        q("qcow1 size 513").be64(24, 513).io("read 0 512"),
        q("qcow1 size 2^63").be64(24, 1 << 63),
        q("qcow1 size 2^64-1").be64(24, u64::MAX),
        q("qcow1 cluster_bits 8").byte(32, 8),
        q("qcow1 cluster_bits 17").byte(32, 17),
        q("qcow1 cluster_bits 255").byte(32, 255),
        q("qcow1 l2_bits 5").byte(33, 5),
        q("qcow1 l2_bits 14").byte(33, 14),
        q("qcow1 crypt_method 1").be32(36, 1),
        q("qcow1 crypt_method 2").be32(36, 2),
        q("qcow1 L1 at 2^63").be64(40, 1 << 63),
        q("qcow1 L1 past the end").be64(40, 1 << 40),
        q("qcow1 backing name 1024").be64(8, 48).be32(16, 1024),
        q("qcow1 backing at 2^63").be64(8, 1 << 63).be32(16, 8),
        q("qcow1 backing past the end").be64(8, 1 << 40).be32(16, 8),
        q("qcow1 L1 entry with bit 63").be64(48, 1 << 63),
        q("qcow1 L1 entry past the end").be64(48, 1 << 50),
        q("qcow1 L2 entry unaligned").be64(0x1000, 0x2001),
        q("qcow1 L2 entry 512-aligned").be64(0x1000, 0x2200),
        q("qcow1 L2 entry compressed, length 0").be64(0x1000, 1 << 63),
        q("qcow1 L2 entry compressed over nothing").be64(0x1000, 0x8010_0000_4000_0000),
        q("qcow1 cut to 47 bytes").cut(47),
        q("qcow1 cut to 48 bytes").cut(48),
        q("qcow1 cut in the data").cut(0x2200),
        q("qcow1 size 2^48, capped").be64(24, 1 << 48),
    ]
}

fn luks_header() -> Vec<Fault> {
    let l = |name| Fault::new(name, "luks");
    vec![
        l("luks magic").byte(0, b'X'),
        l("luks version 2").be16(6, 2),
        l("luks version 65535").be16(6, 65_535),
        l("luks cipher without NUL").bytes(8, &[b'a'; 32]),
        l("luks mode without NUL").bytes(40, &[b'a'; 32]),
        l("luks hash without NUL").bytes(72, &[b'a'; 32]),
        l("luks cipher unknown").bytes(8, b"des\0"),
        l("luks mode unknown").bytes(40, b"foo-plain64\0"),
        l("luks mode without ivgen").bytes(40, b"xts\0"),
        l("luks ivgen unknown").bytes(40, b"xts-random\0\0\0\0"),
        l("luks essiv without hash").bytes(40, b"cbc-essiv\0\0\0\0"),
        l("luks essiv:sha1").bytes(40, b"cbc-essiv:sha1\0"),
        l("luks ivgen hash unknown").bytes(40, b"xts-plain64:foo\0"),
        l("luks hash unknown").bytes(72, b"whirlpool\0"),
        l("luks payload 0").be32(104, 0),
        l("luks payload 7").be32(104, 7),
        l("luks payload 8").be32(104, 8),
        l("luks payload 2^32-1").be32(104, u32::MAX),
        l("luks payload one further").be32(104, 4041),
        l("luks key bytes 0").be32(108, 0),
        l("luks key bytes 65").be32(108, 65),
        l("luks key bytes 2^30").be32(108, 1 << 30),
        l("luks key bytes 2^32-1").be32(108, u32::MAX),
        l("luks digest iterations 0").be32(164, 0),
        l("luks digest damaged").byte(112, 0xaa).byte(113, 0x55),
        l("luks cut to 500 bytes").cut(500),
        l("luks cut to 4096 bytes").cut(4096),
        l("luks cut in the payload").cut(2_068_480 + 100),
        l("luks iterations 2^32-1, digest")
            .be32(164, u32::MAX)
            .stricter("iteration count"),
    ]
}

fn luks_slots() -> Vec<Fault> {
    const fn slot(index: usize) -> usize {
        208 + 48 * index
    }
    let l = |name| Fault::new(name, "luks");
    vec![
        l("luks slot 0 stripes 1").be32(slot(0) + 44, 1),
        l("luks slot 7 stripes 0").be32(slot(7) + 44, 0),
        l("luks slot 7 stripes 2^32-1").be32(slot(7) + 44, u32::MAX),
        l("luks slot 0 state").be32(slot(0), 0x1234_5678),
        l("luks slot 3 state").be32(slot(3), 0),
        l("luks slot 0 iterations 0").be32(slot(0) + 4, 0),
        l("luks slot 1 iterations 0, disabled").be32(slot(1) + 4, 0),
        l("luks slot 0 in the header").be32(slot(0) + 40, 7),
        l("luks slot 0 in the payload").be32(slot(0) + 40, 4040),
        l("luks slots overlap").be32(slot(1) + 40, 100),
        l("luks slots equal").be32(slot(1) + 40, 8),
        l("luks no active slot").be32(slot(0), 0xdead),
        l("luks slot 0 damaged").bytes(8 * 512, &[0x5a; 64]),
        l("luks slot iterations 2^32-1")
            .be32(slot(0) + 4, u32::MAX)
            .stricter("iteration count"),
        l("luks slot offset wraps at 32 bits")
            .be32(slot(7) + 40, 0xffff_ffff)
            .stricter("overlapping"),
    ]
}

fn luks_inside_qcow2() -> Vec<Fault> {
    let l = |name| Fault::new(name, "qcow2-luks");
    let extension = 0x70;
    vec![
        l("crypto header unaligned").be64(extension + 8, 0x40200),
        l("crypto header past the end").be64(extension + 8, 1 << 40),
        l("crypto header over the image header").be64(extension + 8, 0),
        l("crypto header length 0").be64(extension + 16, 0),
        l("crypto header length 100").be64(extension + 16, 100),
        l("crypto header length 2^63").be64(extension + 16, 1 << 63),
        l("crypto extension length 8").be32(extension + 4, 8),
        l("crypto extension with crypt_method 0").be32(32, 0),
        l("crypto extension with crypt_method 1").be32(32, 1),
        l("embedded luks magic").byte(0x40000, b'X'),
        l("embedded luks slot 7 stripes").be32(0x40000 + 208 + 48 * 7 + 44, 0),
        l("embedded luks payload 0").be32(0x40000 + 104, 0),
    ]
}
