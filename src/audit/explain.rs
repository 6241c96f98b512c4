//! What each finding means, for people without cryptography.

use super::finding::FindingId;

/// Headline and explanation.
pub const fn words(id: FindingId) -> (&'static str, &'static str) {
    match id {
        FindingId::NotEncrypted
        | FindingId::LegacyAes
        | FindingId::FewIterations
        | FindingId::WeakHash
        | FindingId::SmallBlocks
        | FindingId::ExtraKeySlots
        | FindingId::NoKeySlot
        | FindingId::DataFileNotExamined => choices(id),
        FindingId::ReuseInPlace
        | FindingId::ReuseMoved
        | FindingId::ReuseOverTime
        | FindingId::SharedMasterKey
        | FindingId::SharedPassword => over_time(id),
        FindingId::PlaintextCompressed | FindingId::NeverWritten | FindingId::StaleClusters => {
            in_clear(id)
        }
        _ => reuse(id),
    }
}

/// One key and IV for several places of one file; modes that make it worse.
const fn reuse(id: FindingId) -> (&'static str, &'static str) {
    match id {
        FindingId::IvReuseSnapshots => (
            "Snapshots show what changed, without the password",
            "Each sector is scrambled with the key and a number that should never be used twice. \
             This image uses the same number for every version of a sector that its snapshots keep. \
             Whoever gets the file can lay two versions side by side and see which sectors changed, \
             which did not, and up to which byte two versions begin alike. No password is needed.",
        ),
        FindingId::IvReuseVmState => (
            "Saved machine memory can be compared, without the password",
            "The memory of the virtual machine was saved in several snapshots under the same key and \
             the same numbers. Whoever gets the file sees which parts of the memory were equal at \
             those times.",
        ),
        FindingId::IvGuestOffset => (
            "The program that wrote this LUKS image has a fault",
            "LUKS inside qcow2 must scramble each sector with the number of its place in the file. \
             Here different places hold equal scrambled blocks, so the writer used the guest's \
             numbering: snapshots can be compared without the password, and other programs read \
             garbage.",
        ),
        FindingId::IvWrap => (
            "Numbers start again after 2 TiB",
            "The image counts sectors with 32 bits ('plain'). Sectors that lie 2 TiB apart get the \
             same number and the same key, so equal contents look equal and the beginnings of \
             sectors can be compared without the password.",
        ),
        FindingId::PlainIv => (
            "Sector numbers that do not reach beyond 2 TiB",
            "The image counts sectors with 32 bits ('plain'). Nothing is wrong while all data lies \
             below 2 TiB, but growing it past that uses numbers twice.",
        ),
        FindingId::Ecb => (
            "Equal data looks equal everywhere",
            "In ECB mode the same few bytes (a block of 16, or of 8) always become the same scrambled bytes, wherever they \
             are. Patterns, repeated records and empty areas can be seen without the password.",
        ),
        FindingId::Ctr => (
            "Writing a sector twice uncovers both versions",
            "In CTR mode the data is added to a stream of bytes that depends only on the key and the \
             sector. Whoever sees a sector before and after it was overwritten subtracts one from the \
             other, and the key is gone from the result.",
        ),
        _ => (
            "A chosen file can be recognised on the disk",
            "CBC with numbers that everybody knows lets somebody who gets a prepared file onto the \
             disk (a mail attachment is enough) recognise it later without the password.",
        ),
    }
}

/// Several versions of the file, several files.
const fn over_time(id: FindingId) -> (&'static str, &'static str) {
    match id {
        FindingId::ReuseInPlace => (
            "Sectors were overwritten in place since the older copy",
            "Whoever has both copies sees which sectors changed. This is so with every disk \
             encryption of this kind; how much more shows depends on the mode.",
        ),
        FindingId::ReuseMoved => (
            "Space was reused for other data since the older copy",
            "A place of the file held one part of the disk in the older copy and holds another now, \
             under the same key and number. Whoever has both copies can compare the two.",
        ),
        FindingId::ReuseOverTime => (
            "Versions can be compared with the older copy",
            "Every version of a sector is scrambled alike, wherever it is stored. Whoever has the \
             older copy sees which sectors changed and up to which byte they begin alike.",
        ),
        FindingId::SharedMasterKey => (
            "Another file has the same master key",
            "The files are copies of one LUKS image (or share its header). They have the same key \
             and count their sectors alike, so whoever has both can compare them sector by sector, \
             and a password that opens one old copy opens the data of all of them for ever: changing \
             the password does not change the master key.",
        ),
        _ => (
            "Another file has the same password, and everybody can see it",
            "Legacy AES has no salt: the password itself is the key. Equal sectors of these files \
             look equal, so whoever has both can compare them without the password.",
        ),
    }
}

/// What is not encrypted in an encrypted image.
const fn in_clear(id: FindingId) -> (&'static str, &'static str) {
    match id {
        FindingId::PlaintextCompressed => (
            "Part of the data is not encrypted at all",
            "Compressed clusters of qcow and qcow2 are never encrypted, also not in an encrypted \
             image. Whoever gets the file can unpack them; this audit just did.",
        ),
        FindingId::NeverWritten => (
            "Space that was never written can be seen",
            "Reserved space that the guest never wrote is plain zeros in the file. It shows how much \
             of the disk is used, and where.",
        ),
        _ => (
            "Old data is still in the file",
            "Clusters that were freed, or replaced by 'reads as zeros', still hold their old \
             scrambled bytes. They are history for whoever has the file and, one day, the password.",
        ),
    }
}

/// Choices at creation.
const fn choices(id: FindingId) -> (&'static str, &'static str) {
    match id {
        FindingId::NotEncrypted => (
            "The image is not encrypted",
            "Whoever gets the file can read the disk.",
        ),
        FindingId::LegacyAes => (
            "Encrypted in the old way: the password is the key",
            "The first 16 bytes of the password are the key, without any slowing down and without a \
             salt. Passwords can be tried at the full speed of the machine, and images with the same \
             password have the same key.",
        ),
        FindingId::FewIterations => (
            "Passwords can be tried quickly",
            "LUKS makes every try of a password slow by repeating a calculation. Here it is repeated \
             so few times that guessing is cheap.",
        ),
        FindingId::WeakHash => (
            "An outdated hash",
            "The hash by which the key is made from the password is outdated. It is not known to be \
             broken in this use, but guessing is cheaper than with a current one.",
        ),
        FindingId::SmallBlocks => (
            "A cipher with small blocks",
            "The cipher works on 8 bytes at a time. After some 32 GiB under one key, equal scrambled \
             blocks appear by chance and tell something about the data.",
        ),
        FindingId::ExtraKeySlots => (
            "More passwords open this image than expected",
            "Each active key slot is a password (or a key file) that opens the image. Somebody may \
             know one that you forgot.",
        ),
        FindingId::NoKeySlot => (
            "No password opens this image",
            "All key slots are empty. The data is lost unless a backup of the header exists.",
        ),
        _ => (
            "The data lies in another file",
            "The image names another file for its data. That file was not opened, because the name \
             comes from the image.",
        ),
    }
}
