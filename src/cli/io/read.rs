//! `read`, `readv`, `aio_read`.

use std::time::Instant;

use super::command::{Complaint, Outcome};
use super::overlay;
use super::session::{Session, check_range};
use super::stats::{self, Report};
use super::words::{Options, number, pattern};
use crate::base::limits::MAX_REQUEST_BYTES;
use crate::base::{GuestOffset, Result};
use crate::node::SharedNode;
use crate::node::progress::FileUse;

/// What is in the buffer before anything was read.
const FILL: u8 = 0xab;

/// The options of the three commands.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
struct Given {
    vm_state: bool,
    copy_on_read: bool,
    machine: bool,
    invalid: bool,
    quiet: bool,
    dump: bool,
    pattern: Option<u8>,
    pattern_start: Option<u64>,
    pattern_length: Option<u64>,
}

impl Given {
    fn take(&mut self, letter: char, value: &str) -> Result<(), Complaint> {
        match letter {
            'b' => self.vm_state = true,
            'C' => self.machine = true,
            'i' => self.invalid = true,
            'q' => self.quiet = true,
            'v' => self.dump = true,
            'P' => self.pattern = Some(pattern(value)?),
            's' => self.pattern_start = Some(number(value)?),
            'l' => self.pattern_length = Some(number(value)?),
            // `-p` and `-r` change nothing that can be seen.
            _ => {}
        }
        Ok(())
    }

    /// What is printed about bytes that were read, and whether they are as expected.
    fn outcome(&self, offset: u64, bytes: &[u8], started: Instant) -> (String, bool) {
        let time = started.elapsed();
        let mut text = String::new();
        let start = self.pattern_start.unwrap_or(0);
        let rest = (bytes.len() as u64).saturating_sub(start);
        let length = self.pattern_length.unwrap_or(rest);
        let matches = self.pattern.is_none_or(|expected| {
            let place = usize::try_from(start).unwrap_or(usize::MAX);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            bytes
                .get(place..place.saturating_add(length))
                .is_some_and(|part| part.iter().all(|byte| *byte == expected))
        });
        if !matches {
            text = format!(
                "Pattern verification failed at offset {}, {length} bytes\n",
                offset + start
            );
        }
        if !self.quiet {
            if self.dump {
                text.push_str(&stats::dump(offset, bytes));
            }
            let report = Report {
                verb: "read",
                offset,
                count: bytes.len() as u64,
                time,
                machine: self.machine,
            };
            text.push_str(&report.text());
        }
        (text, matches)
    }
}

fn fetch(node: &SharedNode, offset: u64, buffer: &mut [u8], given: &Given) -> Result<()> {
    if given.vm_state {
        return node.read_vm_state(offset, buffer);
    }
    check_range(node.as_ref(), offset, buffer.len() as u64)?;
    if given.copy_on_read {
        overlay::keep(node.as_ref(), offset, buffer.len() as u64)?;
    }
    node.read_at(GuestOffset::new(offset), buffer)
}

/// VM state and compressed writes go by sectors.
pub(super) fn check_sectors(offset: u64, count: u64) -> Outcome {
    for (value, name) in [(offset, "offset"), (count, "count")] {
        if !value.is_multiple_of(512) {
            return Err(Complaint::Output(format!(
                "{value} is not a sector-aligned value for '{name}'"
            )));
        }
    }
    Ok(())
}

fn run(session: &mut Session, name: &str, given: &Given, offset: u64, count: u64) -> Outcome {
    let node = session.node()?;
    let length = usize::try_from(count).map_err(|_| Complaint::Usage)?;
    if session.data.len() < length {
        session.data.resize(length, 0);
    }
    let mut given = given.clone();
    if session.copy_on_read {
        // A read that writes must not overtake other requests.
        session.settle();
        given.copy_on_read = true;
    }
    let given = &given;
    let started = Instant::now();
    let buffer = &mut session.data[..length];
    buffer.fill(FILL);
    let file_use = FileUse::start();
    fetch(&node, offset, buffer, given)
        .map_err(|error| Complaint::Output(format!("{name} failed: {}", error.errno_text())))?;
    let (text, matches) = given.outcome(offset, &session.data[..length], started);
    session.settle_behind(file_use.any());
    session.output.print(&text);
    shrink(&mut session.data);
    if matches {
        Ok(())
    } else {
        Err(Complaint::Said)
    }
}

/// Gives the memory of a rare, large request back.
pub(super) fn shrink(data: &mut Vec<u8>) {
    const KEPT: usize = 16 << 20;
    if data.len() > KEPT {
        *data = Vec::new();
    }
}

pub(super) fn read(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "bCl:pP:qrs:v");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
    }
    let [offset, count] = *options.operands.as_slice() else {
        return Err(Complaint::Usage);
    };
    let (offset, count_text) = (number(offset)?, count);
    let count = number(count)?;
    if count > MAX_REQUEST_BYTES {
        return Err(Complaint::Output(format!(
            "length cannot exceed {MAX_REQUEST_BYTES}, given {count_text}"
        )));
    }
    let part_given = given.pattern_start.is_some() || given.pattern_length.is_some();
    if given.pattern.is_none() && part_given {
        return Err(Complaint::Usage);
    }
    let start = given.pattern_start.unwrap_or(0);
    let inside = count.checked_sub(start);
    if inside.is_none_or(|rest| given.pattern_length.is_some_and(|length| length > rest)) {
        return Err(Complaint::Output(
            "pattern verification range exceeds end of read data".to_owned(),
        ));
    }
    if given.vm_state {
        check_sectors(offset, count)?;
    }
    run(session, "read", &given, offset, count)
}

/// The offset and the sum of the lengths behind it.
pub(super) fn vector(operands: &[&str]) -> Result<(u64, u64), Complaint> {
    let [offset, lengths @ ..] = operands else {
        return Err(Complaint::Usage);
    };
    if lengths.is_empty() {
        return Err(Complaint::Usage);
    }
    let offset = number(offset)?;
    let mut sum = 0u64;
    for length in lengths {
        let count = number(length)?;
        if count > MAX_REQUEST_BYTES {
            return Err(Complaint::Output(format!(
                "Argument '{length}' exceeds maximum size {MAX_REQUEST_BYTES}"
            )));
        }
        if count > MAX_REQUEST_BYTES - sum {
            return Err(Complaint::Output(
                "The total number of bytes exceed the maximum size 2147483136".to_owned(),
            ));
        }
        sum += count;
    }
    Ok((offset, sum))
}

pub(super) fn readv(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "CP:qrv");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
    }
    let (offset, count) = vector(&options.operands)?;
    run(session, "readv", &given, offset, count)
}

pub(super) fn aio_read(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "CP:iqrv");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
        if letter == 'i' {
            session.output.line("injecting invalid read request");
            return Ok(());
        }
    }
    let (offset, count) = vector(&options.operands)?;
    let node = session.node()?;
    let length = usize::try_from(count).map_err(|_| Complaint::Usage)?;
    if session.copy_on_read {
        session.settle();
        given.copy_on_read = true;
    }
    session.requests.start(move || {
        let started = Instant::now();
        let mut buffer = vec![FILL; length];
        match fetch(&node, offset, &mut buffer, &given) {
            Ok(()) => given.outcome(offset, &buffer, started).0,
            Err(error) => format!("readv failed: {}\n", error.errno_text()),
        }
    });
    Ok(())
}
