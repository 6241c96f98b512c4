//! The byte-range locks by which processes agree on who may do what with an image (observed on the real tools).
//!
//! Byte `100 + p` is read-locked by whoever uses permission `p`, byte `200 + p` by whoever does not share it.
//! Nobody ever holds a write lock: to ask is to test whether a write lock would be possible.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::base::error::errno;
use crate::base::{Error, Kind, Result};
use crate::node::{Access, Permissions};

const USED_BASE: libc::off_t = 100;
const UNSHARED_BASE: libc::off_t = 200;

/// The words that lock failures use, by bit.
const NAMES: [(Permissions, &str); 4] = [
    (Permissions::CONSISTENT_READ, "consistent read"),
    (Permissions::WRITE, "write"),
    (Permissions::WRITE_UNCHANGED, "write unchanged"),
    (Permissions::RESIZE, "resize"),
];

fn region(kind: libc::c_int, start: libc::off_t) -> libc::flock {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the constants are declared wider than the field that holds them"
    )]
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    }
}

fn set(file: impl AsFd, kind: libc::c_int, start: libc::off_t) -> Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&region(kind, start)))
        .map(drop)
        .map_err(|error| Error::bare(error as i32))
}

/// True when somebody else holds the byte.
fn held_elsewhere(file: impl AsFd, start: libc::off_t) -> Result<bool> {
    let mut probe = region(libc::F_WRLCK, start);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut probe)).map_err(|error| Error::bare(error as i32))?;
    Ok(libc::c_int::from(probe.l_type) != libc::F_UNLCK)
}

fn busy(words: String, filename: &str) -> Error {
    Error::new(Kind::Busy, words)
        .with_errno(errno::EAGAIN)
        .with_hint(format!("Is another process using the image [{filename}]?"))
}

/// Changes what is held from `before` to `after`; on failure `before` is held again.
pub(super) fn change(
    file: impl AsFd + Copy,
    filename: &str,
    before: Access,
    after: Access,
) -> Result<()> {
    let outcome = take(file, after).and_then(|()| check(file, filename, after));
    let (kept, dropped) = match outcome {
        Ok(()) => (after, before),
        Err(_) => (before, after),
    };
    release(file, dropped, kept)?;
    outcome
}

fn take(file: impl AsFd + Copy, wanted: Access) -> Result<()> {
    for (index, (bit, _)) in (0..).zip(NAMES) {
        if wanted.used.contains(bit) {
            set(file, libc::F_RDLCK, USED_BASE + index)?;
        }
        if wanted.unshared.contains(bit) {
            set(file, libc::F_RDLCK, UNSHARED_BASE + index)?;
        }
    }
    Ok(())
}

fn check(file: impl AsFd + Copy, filename: &str, wanted: Access) -> Result<()> {
    for (index, (bit, name)) in (0..).zip(NAMES) {
        if wanted.used.contains(bit) && held_elsewhere(file, UNSHARED_BASE + index)? {
            return Err(busy(format!("Failed to get \"{name}\" lock"), filename));
        }
    }
    for (index, (bit, name)) in (0..).zip(NAMES) {
        if wanted.unshared.contains(bit) && held_elsewhere(file, USED_BASE + index)? {
            return Err(busy(
                format!("Failed to get shared \"{name}\" lock"),
                filename,
            ));
        }
    }
    Ok(())
}

fn release(file: impl AsFd + Copy, dropped: Access, kept: Access) -> Result<()> {
    for (index, (bit, _)) in (0..).zip(NAMES) {
        if dropped.used.contains(bit) && !kept.used.contains(bit) {
            set(file, libc::F_UNLCK, USED_BASE + index)?;
        }
        if dropped.unshared.contains(bit) && !kept.unshared.contains(bit) {
            set(file, libc::F_UNLCK, UNSHARED_BASE + index)?;
        }
    }
    Ok(())
}
