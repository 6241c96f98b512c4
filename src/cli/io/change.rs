//! `discard`, `flush`, `truncate`, `aio_flush`, and the commands for zoned devices, of which there are none here.

use std::time::Instant;

use super::command::{Complaint, Outcome};
use super::session::{Session, check_range};
use super::stats::Report;
use super::words::{Options, number};
use crate::base::error::errno;
use crate::base::limits::MAX_REQUEST_BYTES;
use crate::base::size::check_node_length;
use crate::base::{Error, GuestOffset};
use crate::node::Preallocation;
use crate::node::progress::FileUse;

pub(super) fn discard(session: &mut Session, words: &[&str]) -> Outcome {
    let (mut machine, mut quiet) = (false, false);
    let mut options = Options::new(words, "Cq");
    while let Some((letter, _)) = options.advance()? {
        match letter {
            'C' => machine = true,
            _ => quiet = true,
        }
    }
    let [offset, count_text] = *options.operands.as_slice() else {
        return Err(Complaint::Usage);
    };
    let offset = number(offset)?;
    let count = number(count_text)?;
    if count > MAX_REQUEST_BYTES {
        return Err(Complaint::Output(format!(
            "length cannot exceed {MAX_REQUEST_BYTES}, given {count_text}"
        )));
    }
    let node = session.node()?;
    let started = Instant::now();
    let file_use = FileUse::start();
    check_range(node.as_ref(), offset, count)
        .and_then(|()| node.discard(GuestOffset::new(offset), count))
        .map_err(|error| Complaint::Output(format!("discard failed: {}", error.errno_text())))?;
    let time = started.elapsed();
    if file_use.any() || node.driver() == "qcow2" {
        session.settle_short();
    }
    if !quiet {
        let report = Report {
            verb: "discard",
            offset,
            count,
            time,
            machine,
        };
        session.output.print(&report.text());
    }
    Ok(())
}

pub(super) fn flush(session: &mut Session, _: &[&str]) -> Outcome {
    session.node()?.flush().map_err(|_| Complaint::Said)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a command")]
pub(super) fn aio_flush(session: &mut Session, _: &[&str]) -> Outcome {
    session.drain();
    Ok(())
}

fn preallocation(name: &str) -> Result<Preallocation, Complaint> {
    match name {
        "off" => Ok(Preallocation::Off),
        "metadata" => Ok(Preallocation::Metadata),
        "falloc" => Ok(Preallocation::Falloc),
        "full" => Ok(Preallocation::Full),
        _ => Err(Error::caller(format!("Invalid preallocation mode '{name}'")).into()),
    }
}

pub(super) fn truncate(session: &mut Session, words: &[&str]) -> Outcome {
    let mut mode = Preallocation::Off;
    let mut options = Options::new(words, "m:");
    while let Some((_, value)) = options.advance()? {
        mode = preallocation(value)?;
    }
    // Without an operand the real tool reads the option itself as the length.
    let length = options.operands.first().or(words.get(1));
    let length = number(length.ok_or(Complaint::Usage)?)?;
    match session.node()?.driver() {
        "qcow2" => session.settle(),
        "qcow" => {}
        _ => session.settle_short(),
    }
    check_node_length(length)?;
    session.node()?.resize(length, mode).map_err(|error| {
        if error.errno() == errno::ENOMEDIUM {
            Error::caller("No medium inserted")
        } else {
            error
        }
    })?;
    Ok(())
}

fn no_zones(action: &str) -> Outcome {
    Err(Complaint::Output(format!(
        "zone {action} failed: Operation not supported"
    )))
}

fn zone(words: &[&str], action: &str) -> Outcome {
    for word in words.iter().skip(1) {
        number(word)?;
    }
    no_zones(action)
}

pub(super) fn zone_report(_: &mut Session, words: &[&str]) -> Outcome {
    zone(words, "report")
}

pub(super) fn zone_open(_: &mut Session, words: &[&str]) -> Outcome {
    zone(words, "open")
}

pub(super) fn zone_close(_: &mut Session, words: &[&str]) -> Outcome {
    zone(words, "close")
}

pub(super) fn zone_finish(_: &mut Session, words: &[&str]) -> Outcome {
    zone(words, "finish")
}

pub(super) fn zone_reset(_: &mut Session, words: &[&str]) -> Outcome {
    zone(words, "reset")
}

/// It has no options, and complains of the first that it is given; what else looks like one is a number.
pub(super) fn zone_append(_: &mut Session, words: &[&str]) -> Outcome {
    let mut words = words.to_vec();
    let option = words
        .iter()
        .position(|word| word.len() > 1 && word.starts_with('-'));
    if let Some(place) = option
        && let Some(letter) = words.remove(place).chars().nth(1).filter(|c| *c != '-')
    {
        eprintln!("zone_append: invalid option -- '{letter}'");
    }
    zone(&words, "append")
}
