//! What a check finds, in the real tool's words.

use std::fmt;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of each variant are below")]
pub enum Finding {
    SnapshotIncomplete {
        index: usize,
    },
    SnapshotL1Unaligned {
        id: String,
        name: String,
        offset: u64,
    },
    SnapshotL1TooLarge {
        id: String,
        name: String,
        entries: u32,
    },
    ReservedL1Bits {
        entry: u64,
    },
    L2TableUnaligned {
        offset: u64,
    },
    ReservedL2Bits {
        entry: u64,
    },
    CompressedCopied {
        offset: u64,
    },
    DataUnaligned {
        offset: u64,
    },
    PreallocatedUnaligned {
        offset: u64,
    },
    BeyondEnd {
        offset: u64,
        size: u64,
    },
    Overflow {
        offset: u64,
    },
    RefcountTableReserved {
        index: u64,
    },
    RefcountBlockUnaligned {
        index: u64,
    },
    RefcountBlockOutside {
        index: u64,
    },
    RefcountBlockShared {
        index: u64,
        count: u64,
    },
    Leaked {
        cluster: u64,
        refcount: u64,
        reference: u64,
    },
    TooLow {
        cluster: u64,
        refcount: u64,
        reference: u64,
    },
    CopiedL2 {
        index: u64,
        entry: u64,
        refcount: u64,
    },
    CopiedData {
        entry: u64,
        refcount: u64,
    },
}

impl Finding {
    /// The words when a repair dealt with it.
    pub fn repairing(&self) -> String {
        let words = self.words();
        match self {
            // A count is repaired in the same words, whichever way it was wrong.
            Self::Leaked { .. } => words.replacen("Leaked", "Repairing", 1),
            _ => words.replacen("ERROR", "Repairing", 1),
        }
    }

    fn words(&self) -> String {
        const BEYOND: &str = "counting reference for region exceeding the end of the file by one \
                              cluster or more:";
        match self {
            Self::SnapshotIncomplete { index } => {
                format!("ERROR snapshot table entry {index} is incomplete")
            }
            Self::SnapshotL1Unaligned { id, name, offset } => format!(
                "ERROR snapshot {id} ({name}) l1_offset={offset:#x}: L1 table is not cluster \
                 aligned; snapshot table entry corrupted"
            ),
            Self::SnapshotL1TooLarge { id, name, entries } => format!(
                "ERROR snapshot {id} ({name}) l1_size={entries:#x}: L1 table is too large; \
                 snapshot table entry corrupted"
            ),
            Self::ReservedL1Bits { entry } => {
                format!("ERROR found L1 entry with reserved bits set: {entry:x}")
            }
            Self::L2TableUnaligned { offset } => format!(
                "ERROR l2_offset={offset:x}: Table is not cluster aligned; L1 entry corrupted"
            ),
            Self::ReservedL2Bits { entry } => {
                format!("ERROR found l2 entry with reserved bits set: {entry:x}")
            }
            Self::CompressedCopied { offset } => format!(
                "ERROR: coffset=0x{offset:x}: copied flag must never be set for compressed clusters"
            ),
            Self::DataUnaligned { offset } => format!(
                "ERROR offset={offset:x}: Data cluster is not properly aligned; L2 entry corrupted."
            ),
            Self::PreallocatedUnaligned { offset } => format!(
                "ERROR offset={offset:x}: Preallocated cluster is not properly aligned; L2 entry \
                 corrupted."
            ),
            Self::BeyondEnd { offset, size } => {
                format!("ERROR: {BEYOND} offset 0x{offset:x} size 0x{size:x}")
            }
            Self::Overflow { offset } => format!(
                "ERROR: overflow cluster offset=0x{offset:x}\nUse qemu-img amend to increase the \
                 refcount entry width or qemu-img convert to create a clean copy if the image \
                 cannot be opened for writing"
            ),
            Self::RefcountTableReserved { index } => {
                format!("ERROR refcount table entry {index} has reserved bits set")
            }
            Self::RefcountBlockUnaligned { index } => format!(
                "ERROR refcount block {index} is not cluster aligned; refcount table entry corrupted"
            ),
            Self::RefcountBlockOutside { index } => {
                format!("ERROR refcount block {index} is outside image")
            }
            Self::RefcountBlockShared { index, count } => {
                format!("ERROR refcount block {index} refcount={count}")
            }
            Self::Leaked {
                cluster,
                refcount,
                reference,
            } => format!("Leaked cluster {cluster} refcount={refcount} reference={reference}"),
            Self::TooLow {
                cluster,
                refcount,
                reference,
            } => format!("ERROR cluster {cluster} refcount={refcount} reference={reference}"),
            Self::CopiedL2 {
                index,
                entry,
                refcount,
            } => format!(
                "ERROR OFLAG_COPIED L2 cluster: l1_index={index} l1_entry={entry:x} \
                 refcount={refcount}"
            ),
            Self::CopiedData { entry, refcount } => {
                format!("ERROR OFLAG_COPIED data cluster: l2_entry={entry:x} refcount={refcount}")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}
