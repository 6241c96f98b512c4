//! Everything that can be wrong with a header, in the real tool's words (luks1 §5).

use crate::base::error::errno;
use crate::base::{Error, Kind};

/// Why a LUKS1 header is refused. The variants are in the order in which they are looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LuksError {
    /// The magic is missing.
    #[error("Volume is not in LUKS format")]
    NotLuks,
    /// Another version of LUKS.
    #[error("LUKS version {0} is not supported")]
    Version(u16),
    /// A name field is full to its last byte.
    #[error("LUKS header {0} is not NUL terminated")]
    Unterminated(&'static str),
    /// The payload starts inside the header.
    #[error("LUKS payload is overlapping with the header")]
    PayloadOverlapsHeader,
    /// No iterations for the master key's digest.
    #[error("LUKS key iteration count is zero")]
    DigestIterationsZero,
    /// Not 4000 stripes. Printed signed.
    #[error("Keyslot {slot} is corrupted (stripes {stripes} != 4000)")]
    Stripes {
        /// Which slot.
        slot: usize,
        /// What it says.
        stripes: i32,
    },
    /// Neither enabled nor disabled.
    #[error("Keyslot {0} state (active/disable) is corrupted")]
    SlotState(usize),
    /// Enabled with no iterations.
    #[error("Keyslot {0} iteration count is zero")]
    SlotIterationsZero(usize),
    /// Key material over the header.
    #[error("Keyslot {0} is overlapping with the LUKS header")]
    SlotOverlapsHeader(usize),
    /// Key material over the payload.
    #[error("Keyslot {0} is overlapping with the encrypted payload")]
    SlotOverlapsPayload(usize),
    /// Two slots over each other.
    #[error("Keyslots {0} and {1} are overlapping in the header")]
    SlotsOverlap(usize, usize),
    /// No `-` in the mode.
    #[error("Unexpected cipher mode string format '{0}'")]
    ModeFormat(String),
    /// A hash that is not known, in the mode or as hash spec.
    #[error("Hash algorithm '{0}' not supported")]
    Hash(String),
    /// A mode that is not known.
    #[error("Cipher mode '{0}' not supported")]
    Mode(String),
    /// A cipher that is not known, or not with that key length.
    #[error("Algorithm '{name}' with key size {key_bytes} bytes not supported")]
    Cipher {
        /// The name in the header.
        name: String,
        /// Bytes of one key.
        key_bytes: u32,
    },
    /// An IV generator that is not known.
    #[error("IV generator '{0}' not supported")]
    IvGenerator(String),
    /// ESSIV without its hash, or with one that fits no cipher.
    #[error("{0}")]
    IvHash(String),
    /// XTS with an odd number of key bytes. Found when the volume is unlocked.
    #[error("XTS cipher key length should be a multiple of 2")]
    OddXtsKey,
    /// ours: the real tools abort here. Found when the volume is unlocked.
    #[error(
        "Key material of {key_bytes}-byte keys is not a whole number of sectors, which is not supported"
    )]
    UnalignedKeyMaterial {
        /// Bytes of the master key.
        key_bytes: u32,
    },
    /// ours: the real tools spin for minutes. Found when the volume is unlocked.
    #[error("{what} iteration count {iterations} is larger than the cap of {cap}")]
    TooManyIterations {
        /// `Keyslot N` or `Master key`.
        what: String,
        /// What the header asks for.
        iterations: u32,
        /// The cap in force.
        cap: u32,
    },
}

impl From<LuksError> for Error {
    fn from(error: LuksError) -> Self {
        let (kind, errno) = match error {
            LuksError::Version(_)
            | LuksError::Hash(_)
            | LuksError::Mode(_)
            | LuksError::Cipher { .. }
            | LuksError::IvGenerator(_)
            | LuksError::UnalignedKeyMaterial { .. } => (Kind::Unsupported, errno::ENOTSUP),
            _ => (Kind::InvalidImage, errno::EINVAL),
        };
        Self::new(kind, error.to_string())
            .with_errno(errno)
            .with_source(error)
    }
}
