//! Which files a crash can leave: all that was flushed, and of what was written since a prefix, any subset, or a write
//! that was torn between sectors.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::RangeInclusive;

use super::super::Dice;
use super::workload::History;
use crate::base::GuestOffset;
use crate::driver::memory::Memory;
use crate::driver::recorder::Event;
use crate::node::Node as _;

const SECTOR: usize = 512;
const CAP: u64 = 64 << 20;

/// How many states of an interval are looked at.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Up to so many writes: every subset.
    all_subsets: usize,
    /// Else so many subsets.
    some_subsets: usize,
}

impl Effort {
    pub const SHORT: Self = Self {
        all_subsets: 6,
        some_subsets: 16,
    };
    pub const LONG: Self = Self {
        all_subsets: 10,
        some_subsets: 64,
    };
}

/// Part of a write that reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    event: usize,
    from: usize,
    to: usize,
}

/// What reached the disk of an interval between two flushes.
pub struct State {
    whole: Vec<usize>,
    torn: Option<Torn>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events {:?}", self.whole)?;
        match self.torn {
            Some(torn) => write!(f, " and bytes {}..{} of {}", torn.from, torn.to, torn.event),
            None => Ok(()),
        }
    }
}

/// What is durable when an interval begins, and where it ends.
pub struct Durable<'a> {
    events: &'a [Event],
    base: Vec<u8>,
    first: usize,
    end: usize,
}

impl Durable<'_> {
    /// The file after a crash.
    pub fn bytes(&self, state: &State) -> Vec<u8> {
        let file = Memory::new(self.base.clone(), CAP);
        let mut whole = state.whole.iter().copied().peekable();
        let mut torn = state.torn;
        loop {
            let next = whole.peek().copied();
            if let Some(part) = torn.filter(|part| next.is_none_or(|next| part.event < next)) {
                if let Event::Write(offset, bytes) = &self.events[part.event] {
                    let place = GuestOffset::new(offset.bytes() + part.from as u64);
                    file.write_at(place, &bytes[part.from..part.to]).unwrap();
                }
                torn = None;
            } else if let Some(event) = whole.next() {
                self.events[event].replay(&file);
            } else {
                return file.snapshot();
            }
        }
    }

    /// A hash of the file.
    pub fn fingerprint(&self, state: &State) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.bytes(state).hash(&mut hasher);
        hasher.finish()
    }

    /// The steps whose layers a sector may have: the last one that was durable whenever the crash came, up to the one
    /// that ran when the last write was issued.
    pub fn steps(&self, history: &History, state: &State) -> RangeInclusive<usize> {
        let last = state
            .whole
            .last()
            .copied()
            .max(state.torn.map(|torn| torn.event));
        let issued = last.map_or(self.first, |last| last + 1);
        let durable = history
            .steps
            .iter()
            .rposition(|(events, _, durable)| *durable && *events <= self.end);
        let running = history
            .steps
            .iter()
            .position(|(events, ..)| *events >= issued);
        let durable = durable.unwrap_or(0);
        durable..=running.unwrap_or(history.steps.len() - 1).max(durable)
    }
}

/// What a flush comes before: the next write's place in the header, or what it was announced as.
pub fn label_of(history: &History, flush: usize) -> &'static str {
    let mut later = history.events.iter().enumerate().skip(flush);
    let write = later.find(|(_, event)| !matches!(event, Event::Flush));
    match write {
        Some((_, Event::Write(offset, bytes))) if offset.bytes() < 104 => match offset.bytes() {
            0 | 72 => "features",
            36 if bytes.len() == 12 => "l1 place",
            60 => "snapshots place",
            _ => "header",
        },
        Some((number, Event::Write(..))) => history
            .labels
            .iter()
            .rev()
            .find(|(at, _)| *at <= number)
            .map_or("nothing", |(_, label)| label),
        _ => "nothing",
    }
}

/// Calls `each` with every state. `lost` flushes happen for the image, but not for the disk.
pub fn states(
    history: &History,
    lost: &dyn Fn(usize) -> bool,
    effort: Effort,
    each: &mut dyn FnMut(&State, &Durable<'_>),
) {
    let events = &history.events;
    let base = Memory::new(history.start.clone(), CAP);
    let mut first = 0;
    for end in 0..=events.len() {
        let ends = end == events.len() || (history.is_flush(end) && !lost(end));
        if !ends {
            continue;
        }
        let durable = Durable {
            events,
            base: base.snapshot(),
            first,
            end,
        };
        let pending: Vec<usize> = (first..end)
            .filter(|&event| !matches!(events[event], Event::Flush))
            .collect();
        of_interval(&pending, &durable, effort, each);
        for event in &pending {
            events[*event].replay(&base);
        }
        first = end + 1;
    }
}

fn of_interval(
    pending: &[usize],
    durable: &Durable<'_>,
    effort: Effort,
    each: &mut dyn FnMut(&State, &Durable<'_>),
) {
    let mut whole = |whole: Vec<usize>| each(&State { whole, torn: None }, durable);
    let subset = |mask: u64| -> Vec<usize> {
        let chosen = |(bit, _): &(usize, _)| mask >> bit & 1 != 0;
        pending
            .iter()
            .enumerate()
            .filter(chosen)
            .map(|(_, event)| *event)
            .collect()
    };
    if pending.len() <= effort.all_subsets {
        for mask in 0..1_u64 << pending.len() {
            whole(subset(mask));
        }
    } else {
        for length in 0..=pending.len() {
            whole(pending[..length].to_vec());
        }
        for left_out in 0..pending.len() {
            whole([&pending[..left_out], &pending[left_out + 1..]].concat());
        }
        let mut dice = Dice::new(durable.first as u64 + 1);
        for _ in 0..effort.some_subsets {
            whole(
                pending
                    .iter()
                    .copied()
                    .filter(|_| dice.roll(2) == 0)
                    .collect(),
            );
        }
    }
    for (number, &event) in pending.iter().enumerate() {
        let Event::Write(offset, bytes) = &durable.events[event] else {
            continue;
        };
        // Where sectors of the file end in this write.
        let first = SECTOR - usize::try_from(offset.bytes()).unwrap() % SECTOR;
        let cuts: Vec<usize> = (first..bytes.len()).step_by(SECTOR).collect();
        let some = [cuts.first(), cuts.get(cuts.len() / 2), cuts.last()];
        for &cut in some.into_iter().flatten() {
            for (from, to) in [(0, cut), (cut, bytes.len())] {
                let whole = pending[..number].to_vec();
                let torn = Some(Torn { event, from, to });
                each(&State { whole, torn }, durable);
            }
        }
    }
}
