//! What a check finds, in the real tool's words.

/// One finding; displayed as the real tool says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what the variant means")]
pub enum Finding {
    #[error("ERROR snapshot table entry {index} is incomplete")]
    SnapshotIncomplete { index: usize },
    #[error(
        "ERROR snapshot {id} ({name}) l1_offset={offset:#x}: L1 table is not cluster aligned; \
         snapshot table entry corrupted"
    )]
    SnapshotL1Unaligned {
        id: String,
        name: String,
        offset: u64,
    },
    #[error(
        "ERROR snapshot {id} ({name}) l1_size={entries:#x}: L1 table is too large; \
         snapshot table entry corrupted"
    )]
    SnapshotL1TooLarge {
        id: String,
        name: String,
        entries: u32,
    },
    #[error("ERROR found L1 entry with reserved bits set: {entry:x}")]
    ReservedL1Bits { entry: u64 },
    #[error("ERROR l2_offset={offset:x}: Table is not cluster aligned; L1 entry corrupted")]
    L2TableUnaligned { offset: u64 },
    #[error("ERROR found l2 entry with reserved bits set: {entry:x}")]
    ReservedL2Bits { entry: u64 },
    #[error("ERROR: coffset=0x{offset:x}: copied flag must never be set for compressed clusters")]
    CompressedCopied { offset: u64 },
    #[error(
        "ERROR compressed cluster {index} with non-zero subcluster allocation bitmap, \
         entry=0x{entry:x}"
    )]
    CompressedWithSubclusters { index: usize, entry: u64 },
    #[error(
        "ERROR offset={offset:x}: Allocated cluster has corrupted subcluster allocation bitmap"
    )]
    ContradictorySubclusters { offset: u64 },
    #[error("ERROR: Unallocated cluster has non-zero subcluster allocation map")]
    SubclustersWithoutPlace,
    #[error("ERROR compressed cluster {index} with data file, entry=0x{entry:x}")]
    CompressedWithDataFile { index: usize, entry: u64 },
    #[error("ERROR offset={offset:x}: Data cluster is not properly aligned; L2 entry corrupted.")]
    DataUnaligned { offset: u64 },
    #[error(
        "ERROR offset={offset:x}: Preallocated cluster is not properly aligned; \
         L2 entry corrupted."
    )]
    PreallocatedUnaligned { offset: u64 },
    #[error(
        "ERROR: counting reference for region exceeding the end of the file by one cluster or \
         more: offset 0x{offset:x} size 0x{size:x}"
    )]
    BeyondEnd { offset: u64, size: u64 },
    #[error(
        "ERROR: overflow cluster offset=0x{offset:x}\n\
         Use qemu-img amend to increase the refcount entry width or qemu-img convert to create a \
         clean copy if the image cannot be opened for writing"
    )]
    Overflow { offset: u64 },
    #[error("ERROR refcount table entry {index} has reserved bits set")]
    RefcountTableReserved { index: u64 },
    #[error("ERROR refcount block {index} is not cluster aligned; refcount table entry corrupted")]
    RefcountBlockUnaligned { index: u64 },
    #[error("ERROR refcount block {index} is outside image")]
    RefcountBlockOutside { index: u64 },
    #[error("ERROR refcount block {index} refcount={count}")]
    RefcountBlockShared { index: u64, count: u64 },
    #[error("Leaked cluster {cluster} refcount={refcount} reference={reference}")]
    Leaked {
        cluster: u64,
        refcount: u64,
        reference: u64,
    },
    #[error("ERROR cluster {cluster} refcount={refcount} reference={reference}")]
    TooLow {
        cluster: u64,
        refcount: u64,
        reference: u64,
    },
    #[error(
        "ERROR OFLAG_COPIED L2 cluster: l1_index={index} l1_entry={entry:x} refcount={refcount}"
    )]
    CopiedL2 {
        index: u64,
        entry: u64,
        refcount: u64,
    },
    #[error("ERROR OFLAG_COPIED data cluster: l2_entry={entry:x} refcount={refcount}")]
    CopiedData { entry: u64, refcount: u64 },
}

impl Finding {
    /// The words when a repair deals with it.
    pub fn repairing(&self) -> String {
        let words = self.to_string();
        let first = if words.starts_with("Leaked") {
            "Leaked"
        } else {
            "ERROR"
        };
        words.replacen(first, "Repairing", 1)
    }
}
