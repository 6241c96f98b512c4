//! What was found, state by state.

use std::fmt;

use super::Domain;

/// How a sector came to be what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Encrypted under that sector number.
    Under(Domain),
    /// Not encrypted.
    InClear,
    /// Zeros: space that was allocated, and nothing more.
    NeverWritten,
    /// Compressed, and not encrypted: compressed clusters never are (iv-domains §5).
    Compressed {
        /// It unpacks to a whole cluster.
        unpacks: bool,
    },
    /// None of the numbers that could be: another key, another plaintext, or that number.
    Unknown(Option<u64>),
}

/// Sectors that follow each other and were made alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// First byte, as the guest counts; of VM state, from its start.
    pub guest: u64,
    /// Bytes.
    pub length: u64,
    /// First byte in the file.
    pub host: u64,
    /// How.
    pub made: Made,
    /// What the first sector is filled with.
    pub byte: Option<u8>,
}

/// One state of the disk.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// `active`, or the snapshot.
    pub name: String,
    /// The disk's stored sectors.
    pub disk: Vec<Stretch>,
    /// The VM state's.
    pub vm_state: Vec<Stretch>,
    vm_state_start: u64,
}

impl LayerReport {
    pub(super) fn new(name: &str, vm_state_start: u64) -> Self {
        Self {
            name: name.to_owned(),
            disk: Vec::new(),
            vm_state: Vec::new(),
            vm_state_start,
        }
    }

    pub(super) fn add(&mut self, stretch: &Stretch) {
        let mut stretch = *stretch;
        let list = match stretch.guest.checked_sub(self.vm_state_start) {
            None => &mut self.disk,
            Some(within) => {
                stretch.guest = within;
                &mut self.vm_state
            }
        };
        match list.last_mut() {
            Some(last)
                if last.guest + last.length == stretch.guest
                    && last.made == stretch.made
                    && last.byte == stretch.byte =>
            {
                last.length += stretch.length;
            }
            _ => list.push(stretch),
        }
    }
}

/// The whole image.
#[derive(Clone, Debug)]
pub struct IvReport {
    /// In words.
    pub container: &'static str,
    /// What its IVs must come from.
    pub expected: Domain,
    /// The active state first.
    pub layers: Vec<LayerReport>,
    /// Places of the file, in use or not, that hold one byte over and over.
    pub in_clear: Vec<(u64, u8)>,
}

impl IvReport {
    /// What is wrong, a sentence each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for layer in &self.layers {
            for (part, stretches) in [("", &layer.disk), ("VM state ", &layer.vm_state)] {
                for stretch in stretches {
                    if let Some(words) = self.fault(stretch.made) {
                        let end = stretch.guest + stretch.length;
                        faults.push(format!(
                            "{}: {part}{:#x}..{end:#x} at {:#x} of the file {words}",
                            layer.name, stretch.guest, stretch.host
                        ));
                    }
                }
            }
        }
        for (place, byte) in &self.in_clear {
            faults.push(format!(
                "plaintext at {place:#x} of the file: byte {byte:#04x} over and over"
            ));
        }
        faults
    }

    fn fault(&self, made: Made) -> Option<String> {
        let right = self.expected.words();
        match made {
            Made::Under(domain) if domain == self.expected => None,
            Made::Under(domain) => Some(format!(
                "has its IV from {}; {} takes {right}",
                domain.words(),
                self.container
            )),
            Made::InClear => Some("is in the clear".to_owned()),
            Made::Unknown(Some(number)) => Some(format!(
                "has its IV from sector {number}, which is none of its own; {} takes {right}",
                self.container
            )),
            Made::Unknown(None) => {
                Some("is nothing that this key and any sector number give".to_owned())
            }
            Made::NeverWritten | Made::Compressed { .. } => None,
        }
    }
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}: ", self.guest, self.guest + self.length)?;
        match self.made {
            Made::Under(domain) => f.write_str(domain.words())?,
            Made::InClear => f.write_str("in the clear")?,
            Made::NeverWritten => f.write_str("never written")?,
            Made::Compressed { unpacks: true } => f.write_str("compressed, in the clear")?,
            Made::Compressed { unpacks: false } => f.write_str("compressed, does not unpack")?,
            Made::Unknown(_) => f.write_str("no sector number fits")?,
        }
        match self.byte {
            Some(byte) => write!(f, ", {byte:#04x}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for IvReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: IVs from {}", self.container, self.expected.words())?;
        for layer in &self.layers {
            writeln!(f, "{}", layer.name)?;
            for stretch in &layer.disk {
                writeln!(f, "  {stretch}")?;
            }
            for stretch in &layer.vm_state {
                writeln!(f, "  VM state {stretch}")?;
            }
        }
        Ok(())
    }
}
