//! The state, the rules that are armed, and the requests that wait.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::rules::{InjectError, IoTypes, Rule};
use crate::base::error::errno;
use crate::base::{Error, Result};
use crate::node::debug_event::NotBegun;
use crate::node::progress::{self, Request};
use crate::node::{Breakpoints, DebugEvent, Notices};

/// Bytes of the sectors that rules name.
const SECTOR: u64 = 512;
/// The state of a new node.
const FIRST_STATE: i64 = 1;

/// A rule, with a number by which the armed list knows it.
struct Numbered {
    number: usize,
    rule: Rule,
}

struct Breakpoint {
    event: DebugEvent,
    tag: String,
}

/// A request that stopped.
struct Stopped {
    number: u64,
    tag: String,
    request: Option<Arc<Request>>,
}

struct State {
    state: i64,
    rules: Vec<Numbered>,
    armed: Vec<(usize, InjectError)>,
    breakpoints: Vec<Breakpoint>,
    stopped: Vec<Stopped>,
    /// Requests that stopped so far.
    stops: u64,
    notices: Notices,
}

/// What a blkdebug node remembers; breakpoints act on it from outside.
pub(super) struct Machine {
    state: Mutex<State>,
    changed: Condvar,
}

impl Machine {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let rules = rules
            .into_iter()
            .enumerate()
            .map(|(number, rule)| Numbered { number, rule })
            .collect();
        let machine = Self {
            state: Mutex::new(State {
                state: FIRST_STATE,
                rules,
                armed: Vec::new(),
                breakpoints: Vec::new(),
                stopped: Vec::new(),
                stops: 0,
                notices: Notices::default(),
            }),
            changed: Condvar::new(),
        };
        machine.raise(DebugEvent::None);
        machine
    }

    /// An event: rules are armed, the state changes, the request may stop here.
    pub(super) fn raise(&self, event: DebugEvent) {
        let mut state = self.state.lock();
        let now = state.state;
        let applies = |wanted: Option<i64>| wanted.is_none_or(|wanted| wanted == now);
        let mut armed = Vec::new();
        let mut next = now;
        for Numbered { number, rule } in &state.rules {
            match rule {
                Rule::Inject(rule) if rule.event == event && applies(rule.state) => {
                    armed.push((*number, *rule));
                }
                Rule::State(rule) if rule.event == event && applies(rule.state) => {
                    next = rule.new_state;
                }
                _ => {}
            }
        }
        // What earlier events armed stays armed until another event arms something.
        if !armed.is_empty() {
            state.armed = armed;
        }
        state.state = next;
        // The newest first, as in the real tool.
        if let Some(at) = state.breakpoints.iter().rposition(|b| b.event == event) {
            let Breakpoint { tag, .. } = state.breakpoints.remove(at);
            state
                .notices
                .say(&format!("blkdebug: Suspended request '{tag}'"));
            state.stops += 1;
            let number = state.stops;
            let request = progress::current();
            if let Some(request) = &request {
                request.stand();
            }
            state.stopped.push(Stopped {
                number,
                tag,
                request,
            });
            self.changed.notify_all();
            while state.stopped.iter().any(|stopped| stopped.number == number) {
                self.changed.wait(&mut state);
            }
        }
    }

    /// The error of a request, if an armed rule has one for it.
    pub(super) fn check(&self, io_type: IoTypes, offset: u64, length: u64) -> Result<()> {
        let mut state = self.state.lock();
        let touches = |sector: u64| {
            let start = sector.saturating_mul(SECTOR);
            start < offset.saturating_add(length) && offset < start.saturating_add(SECTOR)
        };
        let Some(at) = state.armed.iter().position(|(_, rule)| {
            rule.io_types.contains(io_type) && rule.sector.is_none_or(touches)
        }) else {
            return Ok(());
        };
        let Some((number, rule)) = state.armed.get(at).copied() else {
            return Ok(());
        };
        if rule.errno <= 0 {
            return Ok(());
        }
        if rule.once {
            state.armed.remove(at);
            state.rules.retain(|known| known.number != number);
        }
        let error = Error::bare(rule.errno);
        Err(if rule.immediately {
            error.with_source(NotBegun)
        } else {
            error
        })
    }

    /// Lets requests go that stopped under `tag`: all, or the first. True when there was one.
    fn release(&self, state: &mut State, tag: &str, all: bool) -> bool {
        let mut found = false;
        while let Some(at) = state.stopped.iter().position(|stopped| stopped.tag == tag) {
            state
                .notices
                .say(&format!("blkdebug: Resuming request '{tag}'"));
            if let Some(request) = state.stopped.remove(at).request {
                request.go_on();
            }
            found = true;
            if !all {
                break;
            }
        }
        self.changed.notify_all();
        found
    }
}

impl Breakpoints for Machine {
    fn set(&self, event: &str, tag: &str) -> Result<()> {
        let event = DebugEvent::by_name(event).ok_or_else(|| Error::bare(errno::ENOENT))?;
        self.state.lock().breakpoints.push(Breakpoint {
            event,
            tag: tag.to_owned(),
        });
        Ok(())
    }

    fn remove(&self, tag: &str) -> Result<()> {
        let mut state = self.state.lock();
        let before = state.breakpoints.len();
        state.breakpoints.retain(|breakpoint| breakpoint.tag != tag);
        let removed = state.breakpoints.len() != before;
        self.release(&mut state, tag, true);
        if removed {
            Ok(())
        } else {
            Err(Error::bare(errno::ENOENT))
        }
    }

    fn resume(&self, tag: &str) -> Result<()> {
        if self.release(&mut self.state.lock(), tag, false) {
            Ok(())
        } else {
            Err(Error::bare(errno::ENOENT))
        }
    }

    fn wait(&self, tag: &str) {
        let mut state = self.state.lock();
        while !state.stopped.iter().any(|stopped| stopped.tag == tag) {
            self.changed.wait(&mut state);
        }
    }

    fn report_to(&self, notices: Notices) {
        self.state.lock().notices = notices;
    }
}
