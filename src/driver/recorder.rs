//! A file in memory that remembers what was done to it, for the tests that crash an image between two requests.

use parking_lot::Mutex;

use super::memory::Memory;
use crate::base::{GuestOffset, Result};
use crate::node::{DebugEvent, Extent, Node, Preallocation, ZeroFlags};

/// What reached the file.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Write(GuestOffset, Vec<u8>),
    Zero(GuestOffset, u64),
    Resize(u64),
    Flush,
}

impl Event {
    pub(super) fn replay(&self, file: &Memory) {
        match self {
            Self::Write(offset, bytes) => file.write_at(*offset, bytes).unwrap(),
            Self::Zero(offset, length) => {
                file.write_zeroes(*offset, *length, ZeroFlags::empty())
                    .unwrap();
            }
            Self::Resize(length) => file.resize(*length, Preallocation::Off).unwrap(),
            Self::Flush => {}
        }
    }
}

/// A file that remembers everything that was done to it.
pub(super) struct Recorder {
    pub(super) file: Memory,
    pub(super) events: Mutex<Vec<Event>>,
    /// How many events there were when the driver announced something.
    pub(super) labels: Mutex<Vec<(usize, &'static str)>>,
}

impl Recorder {
    /// A file that holds these bytes.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            file: Memory::new(bytes, 1 << 30),
            events: Mutex::default(),
            labels: Mutex::default(),
        }
    }

    fn note(&self, event: Event) {
        self.events.lock().push(event);
    }
}

impl Node for Recorder {
    fn driver(&self) -> &'static str {
        "recorder"
    }

    fn filename(&self) -> String {
        "recorder:".to_owned()
    }

    fn writable(&self) -> bool {
        true
    }

    fn length(&self) -> Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.note(Event::Write(offset, data.to_vec()));
        self.file.write_at(offset, data)
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.note(Event::Zero(offset, length));
        self.file.write_zeroes(offset, length, flags)
    }

    fn discard(&self, offset: GuestOffset, length: u64) -> Result<()> {
        let inside = length.min(self.length()?.saturating_sub(offset.bytes()));
        self.note(Event::Zero(offset, inside));
        self.file.discard(offset, length)
    }

    fn flush(&self) -> Result<()> {
        self.note(Event::Flush);
        Ok(())
    }

    fn resize(&self, length: u64, preallocation: Preallocation) -> Result<()> {
        self.note(Event::Resize(length));
        self.file.resize(length, preallocation)
    }

    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        self.file.extent(offset, length)
    }

    fn debug_event(&self, event: DebugEvent) {
        let happened = self.events.lock().len();
        self.labels.lock().push((happened, event.name()));
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}
