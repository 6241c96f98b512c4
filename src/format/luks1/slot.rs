//! Key slots (luks1 §1, second table).

use crate::base::bytes::{Reader, Truncated};

/// Slots of a header.
pub const SLOT_COUNT: usize = 8;
/// Stripes of the anti-forensic splitter: there is no other number.
pub const STRIPES: u32 = 4000;
/// Bytes of a slot's entry.
pub const SLOT_BYTES: usize = 48;

const ENABLED: u32 = 0x00AC_71F3;
const DISABLED: u32 = 0x0000_DEAD;

/// The state of a slot as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Holds the master key.
    Enabled,
    /// Empty.
    Disabled,
    /// Neither of the two numbers.
    Corrupted(u32),
}

/// One key slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// Bytes 0–3.
    pub state: SlotState,
    /// Bytes 4–7: PBKDF2 iterations.
    pub iterations: u32,
    /// Bytes 8–39.
    pub salt: [u8; 32],
    /// Bytes 40–43: where the key material starts, in sectors from the start of the header.
    pub material_sector: u32,
    /// Bytes 44–47: always 4000.
    pub stripes: u32,
}

impl KeySlot {
    /// An empty slot with its key material at `material_sector`.
    pub const fn empty(material_sector: u32) -> Self {
        Self {
            state: SlotState::Disabled,
            iterations: 0,
            salt: [0; 32],
            material_sector,
            stripes: STRIPES,
        }
    }

    /// True when the slot holds the master key.
    pub fn active(&self) -> bool {
        self.state == SlotState::Enabled
    }

    /// Where the key material starts, in bytes.
    pub fn material_offset(&self) -> u64 {
        u64::from(self.material_sector) * 512
    }

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        Ok(Self {
            state: match reader.u32()? {
                ENABLED => SlotState::Enabled,
                DISABLED => SlotState::Disabled,
                other => SlotState::Corrupted(other),
            },
            iterations: reader.u32()?,
            salt: reader.array()?,
            material_sector: reader.u32()?,
            stripes: reader.u32()?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let state = match self.state {
            SlotState::Enabled => ENABLED,
            SlotState::Disabled => DISABLED,
            SlotState::Corrupted(other) => other,
        };
        out.extend(state.to_be_bytes());
        out.extend(self.iterations.to_be_bytes());
        out.extend(self.salt);
        out.extend(self.material_sector.to_be_bytes());
        out.extend(self.stripes.to_be_bytes());
    }
}
