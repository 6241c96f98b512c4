//! What is copied next.

use super::super::sources::{Content, Sources};
use super::{Conversion, Failure, Step, Unwritten, Zeroes};
use crate::base::{GuestOffset, Result};

/// What a worker is to do with a piece of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Read it and write what is not zero.
    Copy,
    /// It is known to be zeros: write them as data.
    Fill,
    /// It is known to be zeros: make the target read so.
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) task: Task,
    pub(super) offset: GuestOffset,
    pub(super) length: u64,
    /// Place in the order of the disk; counts without gaps.
    pub(super) ticket: u64,
}

/// What salvaging goes on behind.
const SECTOR: u64 = 512;
/// Longest piece that is zeroed at once, so that progress is seen.
const ZERO_PIECE_MAX: u64 = 1 << 30;

/// Walks over the sources and deals out pieces.
pub(super) struct Plan<'a> {
    conversion: &'a Conversion<'a>,
    sources: &'a Sources,
    position: u64,
    ticket: u64,
    /// The run at `position`: what it holds, and its end.
    known: Option<(Content, u64)>,
    chunk: u64,
    /// Pieces are whole multiples of `chunk`.
    whole_chunks: bool,
    zero: Option<Task>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(conversion: &'a Conversion<'a>, chunk: usize) -> Self {
        let settings = conversion.settings;
        let zero = match (settings.zeroes, settings.unwritten) {
            (Zeroes::AsData, _) => Some(Task::Fill),
            (Zeroes::Known | Zeroes::Found(_), Unwritten::Zeroes) => None,
            (Zeroes::Known | Zeroes::Found(_), _) => Some(Task::Zero),
        };
        Self {
            conversion,
            sources: conversion.sources,
            position: 0,
            ticket: 0,
            known: None,
            chunk: chunk as u64,
            whole_chunks: settings.compressed_cluster.is_some(),
            zero,
        }
    }

    /// Bytes of all pieces.
    pub(super) fn total(mut self) -> Result<u64, Failure> {
        let mut total = 0;
        while let Some(piece) = self.next()? {
            total += piece.length;
        }
        Ok(total)
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Failure> {
        while self.position < self.sources.length() {
            let (content, end) = self.run()?;
            let task = match content {
                Content::Data => Some(Task::Copy),
                Content::Zero => self.zero,
                Content::Backed => None,
            };
            let Some(task) = task else {
                self.position = end;
                continue;
            };
            let border = match task {
                Task::Zero => self.position.saturating_add(ZERO_PIECE_MAX),
                Task::Copy | Task::Fill => self.chunk_end(),
            };
            let border = if self.whole_chunks || self.sources.is_grained() || task == Task::Fill {
                border
            } else {
                border.min(self.sources.cluster_end(self.position))
            };
            let piece = Piece {
                task,
                offset: GuestOffset::new(self.position),
                length: end.min(border) - self.position,
                ticket: self.ticket,
            };
            self.ticket += 1;
            self.position += piece.length;
            return Ok(Some(piece));
        }
        Ok(None)
    }

    /// Where a piece that starts at the position ends at the latest.
    const fn chunk_end(&self) -> u64 {
        self.position + self.chunk
    }

    /// The run that starts at the position: one extent. Zeros are looked for inside of it only.
    fn run(&mut self) -> Result<(Content, u64), Failure> {
        if self.whole_chunks {
            return self.run_of_chunks();
        }
        let (content, end) = self.extent_from(self.position)?;
        self.known = Some((content, end));
        Ok((content, end))
    }

    /// Like [`Plan::run`] where one chunk is the unit: a chunk with different contents is data.
    fn run_of_chunks(&mut self) -> Result<(Content, u64), Failure> {
        let chunk_end = (self.position + self.chunk).min(self.sources.length());
        let (content, end) = self.extent_from(self.position)?;
        self.known = Some((content, end));
        if end >= chunk_end {
            let whole = if end == self.sources.length() {
                end
            } else {
                end - end % self.chunk
            };
            return Ok((content, whole));
        }
        let mut same = true;
        let mut at = end;
        while at < chunk_end {
            let (next, next_end) = self.extent_from(at)?;
            same &= next == content;
            self.known = Some((next, next_end));
            at = next_end;
        }
        Ok((if same { content } else { Content::Data }, chunk_end))
    }

    /// Known zeros behind the end of the target's backing file are there already, whatever `-S` says.
    fn beyond_backing(&self, content: Content, position: u64, end: u64) -> (Content, u64) {
        match self.conversion.settings.unwritten {
            Unwritten::ZeroesFrom(_) if content != Content::Zero => (content, end),
            Unwritten::ZeroesFrom(bound) if position < bound => (content, end.min(bound)),
            Unwritten::ZeroesFrom(_) => (Content::Backed, end),
            _ => (content, end),
        }
    }

    /// The extent that covers `position`, from memory when it is known.
    fn extent_from(&self, position: u64) -> Result<(Content, u64), Failure> {
        if let Some((content, end)) = self.known
            && end > position
        {
            return Ok((content, end));
        }
        let offset = GuestOffset::new(position);
        match self
            .sources
            .content(offset, self.sources.length() - position)
        {
            Ok((content, length)) => Ok(self.beyond_backing(content, position, position + length)),
            Err(error) if self.conversion.settings.salvage => {
                // Reading will show how bad it is, sector by sector.
                (self.conversion.salvaged)(Step::Status, offset, &error);
                Ok((Content::Data, position + SECTOR))
            }
            Err(error) => Err(Failure {
                step: Step::Status,
                offset,
                error,
            }),
        }
    }
}
