//! `write`, `writev`, `aio_write`.

use std::io::Read;
use std::time::Instant;

use super::command::{Complaint, Outcome};
use super::read::{check_sectors, shrink, vector};
use super::session::{Session, check_range};
use super::stats::Report;
use super::words::{Options, number, pattern};
use crate::base::limits::MAX_REQUEST_BYTES;
use crate::base::{Error, GuestOffset, Result};
use crate::node::debug_event::fails_at_once;
use crate::node::{SharedNode, ZeroFlags};

/// What fills the buffer when nothing was said.
const FILL: u8 = 0xcd;

/// Clusters of one compressed write that are on their way together.
const SIDE_BY_SIDE: usize = 8;

/// The options of the three commands.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
struct Given {
    vm_state: bool,
    compressed: bool,
    machine: bool,
    force_access: bool,
    no_fallback: bool,
    invalid: bool,
    quiet: bool,
    registered: bool,
    unmap: bool,
    zero: bool,
    pattern: Option<u8>,
    source: Option<String>,
}

impl Given {
    fn take(&mut self, letter: char, value: &str) -> Result<(), Complaint> {
        match letter {
            'b' => self.vm_state = true,
            'c' => self.compressed = true,
            'C' => self.machine = true,
            'f' => self.force_access = true,
            'n' => self.no_fallback = true,
            'i' => self.invalid = true,
            'q' => self.quiet = true,
            'r' => self.registered = true,
            'u' => self.unmap = true,
            'z' => self.zero = true,
            'P' => self.pattern = Some(pattern(value)?),
            's' => self.source = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn contradiction(&self) -> Option<&'static str> {
        let contents = [self.zero, self.pattern.is_some(), self.source.is_some()];
        if self.vm_state && self.zero {
            Some("-b and -z cannot be specified at the same time")
        } else if self.force_access && (self.vm_state || self.compressed) {
            Some("-f and -b or -c cannot be specified at the same time")
        } else if self.no_fallback && !self.zero {
            Some("-n requires -z to be specified")
        } else if self.unmap && !self.zero {
            Some("-u requires -z to be specified")
        } else if contents.into_iter().filter(|given| *given).count() > 1 {
            Some("Only one of -z, -P, and -s can be specified at the same time")
        } else {
            None
        }
    }

    fn refuse_contradiction(&self) -> Outcome {
        match self.contradiction() {
            Some(words) => Err(Complaint::Output(words.to_owned())),
            None => Ok(()),
        }
    }

    /// A zero write has no buffer.
    fn refuse_registered_zeros(&self) -> Outcome {
        if self.zero && self.registered {
            let words = "cannot combine zero write with registered I/O buffer";
            return Err(Complaint::Output(words.to_owned()));
        }
        Ok(())
    }

    /// Carries it out. `data` may be scribbled on.
    fn store(&self, node: &SharedNode, offset: u64, count: u64, data: &mut [u8]) -> Result<()> {
        let place = GuestOffset::new(offset);
        if self.vm_state {
            return node.write_vm_state(offset, data);
        }
        check_range(node.as_ref(), offset, count)?;
        if self.zero {
            let mut flags = ZeroFlags::empty();
            flags.set(ZeroFlags::MAY_UNMAP, self.unmap);
            flags.set(ZeroFlags::NO_FALLBACK, self.no_fallback);
            node.write_zeroes(place, count, flags)?;
        } else if self.compressed {
            write_compressed(node, place, data)?;
        } else {
            node.write_at_in_place(place, data)?;
        }
        if self.force_access {
            node.flush_write()?;
        }
        Ok(())
    }

    fn text(&self, offset: u64, count: u64, started: Instant) -> String {
        if self.quiet {
            return String::new();
        }
        Report {
            verb: "wrote",
            offset,
            count,
            time: started.elapsed(),
            machine: self.machine,
        }
        .text()
    }
}

/// qcow2 takes several clusters at once, qcow one only.
fn write_compressed(node: &SharedNode, offset: GuestOffset, data: &[u8]) -> Result<()> {
    let cluster = match node.driver() {
        "qcow2" => node.info()?.cluster_size,
        _ => None,
    };
    let Some(cluster) = cluster
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| size.is_power_of_two())
    else {
        return node.write_compressed(offset, data);
    };
    let end = offset.plus(data.len() as u64)?;
    let to_the_end = end.bytes() == node.length()?;
    let aligned = |place: GuestOffset| place.is_aligned(cluster as u64);
    if data.is_empty() || !aligned(offset) || !(aligned(end) || to_the_end) {
        // The end of a series; or refused as a whole, before anything is stored.
        return node.write_compressed(offset, data);
    }
    let (mut place, mut failed, mut last) = (offset, None, usize::MAX);
    for (index, part) in data.chunks(cluster).enumerate() {
        if index >= last {
            break;
        }
        if let Err(error) = node.write_compressed(place, part) {
            // Those that the real tool has on their way together are written nevertheless.
            let together = index / SIDE_BY_SIDE * SIDE_BY_SIDE + SIDE_BY_SIDE + 1;
            last = last.min(if fails_at_once(&error) {
                index
            } else {
                together
            });
            failed.get_or_insert(error);
        }
        place = place.plus(part.len() as u64)?;
    }
    failed.map_or(Ok(()), Err)
}

fn fill(data: &mut Vec<u8>, length: usize, given: &Given) -> Outcome {
    data.clear();
    if given.zero {
        return Ok(());
    }
    let Some(source) = &given.source else {
        data.resize(length, given.pattern.unwrap_or(FILL));
        return Ok(());
    };
    let mut repeated = Vec::new();
    // No more than what is written: the file may be a device without an end.
    std::fs::File::open(source)
        .and_then(|file| file.take(length as u64).read_to_end(&mut repeated))
        .map_err(|error| {
            let words = Error::from(error).errno_text();
            Complaint::Error(format!("{source}: {words}"))
        })?;
    if repeated.is_empty() {
        return Err(Complaint::Error(format!("{source}: file is empty")));
    }
    data.extend(repeated.iter().cycle().take(length));
    Ok(())
}

fn run(session: &mut Session, name: &str, given: &Given, offset: u64, count: u64) -> Outcome {
    let node = session.node()?;
    let length = usize::try_from(count).map_err(|_| Complaint::Usage)?;
    fill(&mut session.data, length, given)?;
    // The real tool's event loop runs while this command writes, not where it is refused.
    match node.driver() {
        "qcow2" if given.zero => session.settle_short(),
        "qcow2" => session.settle(),
        _ if given.compressed => {}
        "qcow" | "luks" if !given.zero => session.settle_short(),
        _ => session.settle(),
    }
    let started = Instant::now();
    given
        .store(&node, offset, count, &mut session.data)
        .map_err(|error| Complaint::Output(format!("{name} failed: {}", error.errno_text())))?;
    let text = given.text(offset, count, started);
    session.output.print(&text);
    shrink(&mut session.data);
    Ok(())
}

pub(super) fn write(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "bcCfnpP:qrs:uz");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
    }
    let [offset, count_text] = *options.operands.as_slice() else {
        return Err(Complaint::Usage);
    };
    given.refuse_contradiction()?;
    let offset = number(offset)?;
    let count = number(count_text)?;
    if count > MAX_REQUEST_BYTES && !given.no_fallback {
        return Err(Complaint::Output(format!(
            "length cannot exceed {MAX_REQUEST_BYTES} without -n, given {count_text}"
        )));
    }
    if given.vm_state || given.compressed {
        check_sectors(offset, count)?;
    }
    given.refuse_registered_zeros()?;
    run(session, "write", &given, offset, count)
}

pub(super) fn writev(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "CfP:qr");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
    }
    let (offset, count) = vector(&options.operands)?;
    run(session, "writev", &given, offset, count)
}

pub(super) fn aio_write(session: &mut Session, words: &[&str]) -> Outcome {
    let mut given = Given::default();
    let mut options = Options::new(words, "CfiP:qruz");
    while let Some((letter, value)) = options.advance()? {
        given.take(letter, value)?;
        if letter == 'i' {
            session.output.line("injecting invalid write request");
            return Ok(());
        }
    }
    if options.operands.len() < 2 {
        return Err(Complaint::Usage);
    }
    if given.zero && options.operands.len() != 2 {
        return Err(Complaint::Output(
            "-z supports only a single length parameter".to_owned(),
        ));
    }
    if given.unmap && !given.zero {
        return Err(Complaint::Output(
            "-u requires -z to be specified".to_owned(),
        ));
    }
    given.refuse_registered_zeros()?;
    let (offset, count) = match *options.operands.as_slice() {
        [offset, count] if given.zero => (number(offset)?, number(count)?),
        _ => vector(&options.operands)?,
    };
    let node = session.node()?;
    let length = usize::try_from(count).map_err(|_| Complaint::Usage)?;
    let mut data = Vec::new();
    fill(&mut data, length, &given)?;
    if session.copy_on_read {
        session.settle();
    }
    if given.force_access || session.writes_through() {
        session.requests.sync_next();
    }
    session.requests.start(move || {
        let started = Instant::now();
        match given.store(&node, offset, count, &mut data) {
            Ok(()) => given.text(offset, count, started),
            Err(error) => format!("aio_write failed: {}\n", error.errno_text()),
        }
    });
    Ok(())
}
