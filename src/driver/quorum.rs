//! `quorum`: several copies, and what most of them say.

use super::blkverify::first_difference;
use crate::base::{Error, GuestOffset, Result};
use crate::node::extent::extent_above;
use crate::node::{Access, Extent, Node, Notices, Permissions, SharedNode, ZeroFlags};

/// What the options say.
#[derive(Clone, Debug)]
pub struct QuorumOptions {
    /// The name to show.
    pub filename: String,
    /// `vote-threshold`: so many copies have to agree.
    pub threshold: usize,
    /// What nobody else may do with the copies.
    pub unshared: Permissions,
    /// `blkverify`: the tool ends where the two copies differ.
    pub verify: bool,
    /// `rewrite-corrupted`: copies that were outvoted are written again.
    pub rewrite: bool,
    /// `read-pattern=fifo`: the first copy that can be read is believed.
    pub first: bool,
}

/// A content, and the copies that have it.
type Version = (Vec<u8>, Vec<usize>);

/// Copies of one disk.
pub struct Quorum {
    copies: Vec<SharedNode>,
    options: QuorumOptions,
    notices: Notices,
}

impl Quorum {
    /// Over at least one node.
    pub fn new(copies: Vec<SharedNode>, options: QuorumOptions, notices: Notices) -> Result<Self> {
        let quorum = Self {
            copies,
            options,
            notices,
        };
        quorum
            .length()
            .map_err(|error| error.prefixed("Could not refresh total sector count: "))?;
        Ok(quorum)
    }

    /// Does something to all copies; enough of them have to succeed.
    fn all(&self, action: impl Fn(&SharedNode) -> Result<()>) -> Result<()> {
        let mut failure = None;
        let mut succeeded = 0;
        for copy in &self.copies {
            match action(copy) {
                Ok(()) => succeeded += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if succeeded >= self.options.threshold {
            Ok(())
        } else {
            Err(failure.unwrap_or_else(Error::eio))
        }
    }

    fn read_first(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let mut outcome = Err(Error::eio());
        for copy in &self.copies {
            outcome = copy.read_at(offset, buffer);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The versions that were read, each with the copies that have it.
    fn versions(&self, offset: GuestOffset, length: usize) -> (Vec<Version>, Option<Error>) {
        let mut versions: Vec<Version> = Vec::new();
        let mut failure = None;
        for (index, copy) in self.copies.iter().enumerate() {
            let mut content = vec![0; length];
            if let Err(error) = copy.read_at(offset, &mut content) {
                failure = failure.or(Some(error));
                continue;
            }
            match versions.iter_mut().find(|(known, _)| *known == content) {
                Some((_, voters)) => voters.push(index),
                None => versions.push((content, vec![index])),
            }
        }
        (versions, failure)
    }

    fn vote(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        let (versions, failure) = self.versions(offset, buffer.len());
        let readable: usize = versions.iter().map(|(_, voters)| voters.len()).sum();
        if readable < self.options.threshold {
            return Err(failure.unwrap_or_else(Error::eio));
        }
        if self.options.verify
            && let [(one, _), (other, _), ..] = versions.as_slice()
        {
            let place = first_difference(one, other).unwrap_or(0) as u64;
            self.notices.say_last(&format!(
                "quorum: offset={} bytes={} contents mismatch at offset {}",
                offset.bytes(),
                buffer.len(),
                offset.bytes() + place
            ));
            return Err(Error::eio());
        }
        let most = versions.iter().map(|(_, voters)| voters.len()).max();
        // Of two versions with as many votes the later one wins, as in the real tool.
        let Some((content, voters)) = versions
            .iter()
            .rfind(|(_, voters)| Some(voters.len()) == most)
            .filter(|(_, voters)| voters.len() >= self.options.threshold)
        else {
            return Err(Error::eio());
        };
        buffer.copy_from_slice(content);
        if self.options.rewrite && versions.len() > 1 {
            let outvoted = versions.iter().flat_map(|(_, voters)| voters);
            for index in outvoted.filter(|index| !voters.contains(index)) {
                if let Some(copy) = self.copies.get(*index) {
                    // It is as wrong as before when this fails.
                    let _ = copy.write_at(offset, content);
                }
            }
        }
        Ok(())
    }
}

impl Node for Quorum {
    fn driver(&self) -> &'static str {
        "quorum"
    }

    fn filename(&self) -> String {
        self.options.filename.clone()
    }

    fn writable(&self) -> bool {
        self.copies.iter().all(|copy| copy.writable())
    }

    fn length(&self) -> Result<u64> {
        let mut lengths = self.copies.iter().map(|copy| copy.length());
        let first = lengths.next().ok_or_else(Error::eio)??;
        for length in lengths {
            if length? != first {
                return Err(Error::eio());
            }
        }
        Ok(first)
    }

    fn read_at(&self, offset: GuestOffset, buffer: &mut [u8]) -> Result<()> {
        if self.options.first {
            self.read_first(offset, buffer)
        } else {
            self.vote(offset, buffer)
        }
    }

    fn write_at(&self, offset: GuestOffset, data: &[u8]) -> Result<()> {
        self.all(|copy| copy.write_at(offset, data))
    }

    fn write_zeroes(&self, offset: GuestOffset, length: u64, flags: ZeroFlags) -> Result<()> {
        self.all(|copy| copy.write_zeroes(offset, length, flags))
    }

    fn flush(&self) -> Result<()> {
        self.all(|copy| copy.flush())
    }

    /// Zeros where all copies have zeros, data where one may have some.
    fn extent(&self, offset: GuestOffset, length: u64) -> Result<Extent> {
        let mut answer = Extent {
            length: self.length()?.saturating_sub(offset.bytes()).min(length),
            zero: true,
            allocated: true,
            ..Extent::default()
        };
        for copy in &self.copies {
            let extent = extent_above(copy, None, offset, answer.length)?.extent;
            answer.length = extent.length;
            if !extent.zero {
                return Ok(Extent {
                    zero: false,
                    data: true,
                    ..answer
                });
            }
        }
        Ok(answer)
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.copies.iter().map(|copy| copy.allocated_bytes()).sum()
    }

    fn children(&self) -> Vec<(String, SharedNode)> {
        let named = self.copies.iter().enumerate();
        named
            .rev()
            .map(|(index, copy)| (format!("children.{index}"), SharedNode::clone(copy)))
            .collect()
    }

    /// Who else wrote to one copy would make it differ from the others.
    fn set_access(&self, mut access: Access) -> Result<()> {
        access.unshared |= self.options.unshared;
        self.copies
            .iter()
            .try_for_each(|copy| copy.set_access(access))
    }

    fn close(&self) -> Result<()> {
        self.copies
            .iter()
            .map(|copy| copy.close())
            .fold(Ok(()), Result::and)
    }
}
