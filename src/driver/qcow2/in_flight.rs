//! Requests under way: which clusters are getting a new mapping, and which places of the file are being read or
//! written.
//!
//! As in the real tool, only a write waits, and only for another write that is about to map what it touches.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::plan::WritePlan;
use crate::base::{GuestOffset, HostOffset};
use crate::format::qcow2::{Geometry, HostCluster};
use crate::node::progress::{self, Request};

/// A guest range whose mapping is about to change.
struct Changing {
    range: Range<u64>,
    request: Option<Arc<Request>>,
}

#[derive(Default)]
struct Changes {
    /// Those under way; they are disjoint.
    active: Vec<Changing>,
    /// Those that ended and whose ends were not noticed yet: what comes now came behind them.
    ended: Vec<Changing>,
    waiting: Vec<Arc<Request>>,
}

/// The requests under way of one image.
#[derive(Default)]
pub(super) struct InFlight {
    changes: Mutex<Changes>,
    ended: Condvar,
    /// Places of the file: their clusters are given to nobody else, whatever becomes of the mapping.
    used: Mutex<Vec<Range<u64>>>,
}

/// A write that was planned; what it holds is let go when this is dropped.
pub(super) struct Planned<'a> {
    pub(super) plan: WritePlan,
    changing: Option<(&'a InFlight, u64)>,
    _place: PlaceGuard<'a>,
}

/// A place in use until dropped.
pub(super) struct PlaceGuard<'a>(Option<(&'a InFlight, Range<u64>)>);

impl PlaceGuard<'_> {
    /// No place.
    pub(super) const fn none() -> Self {
        Self(None)
    }
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The units that a guest range touches.
fn touched(offset: GuestOffset, length: u64, unit: u64) -> Range<u64> {
    let end = offset.saturating_plus(length).saturating_plus(unit - 1);
    offset.align_down(unit).bytes()..end.align_down(unit).bytes()
}

impl Changes {
    /// A request for that range comes behind the changes of it that just ended.
    fn follow_ended(&mut self, wanted: &Range<u64>) {
        if self.ended.is_empty() {
            return;
        }
        let reported = |ended: &Changing| ended.request.as_ref().is_none_or(|r| r.is_reported());
        self.ended.retain(|ended| !reported(ended));
        for ended in &self.ended {
            if let Some(request) = &ended.request
                && overlap(&ended.range, wanted)
            {
                progress::follow(request.stage());
            }
        }
    }
}

impl InFlight {
    /// How many of the bytes from `offset` on nobody else is about to map; `None` when not even the first.
    pub(super) fn room(
        &self,
        geometry: &Geometry,
        offset: GuestOffset,
        length: u64,
    ) -> Option<u64> {
        let wanted = touched(offset, length, geometry.subcluster_size());
        let mut changes = self.changes.lock();
        changes.follow_ended(&wanted);
        let first = changes
            .active
            .iter()
            .filter(|other| overlap(&other.range, &wanted))
            .map(|other| other.range.start)
            .min();
        drop(changes);
        match first {
            None => Some(length),
            Some(start) => start
                .checked_sub(offset.bytes())
                .filter(|room| *room > 0 && start > wanted.start),
        }
    }

    /// Waits until nobody is about to map what lies at `offset`.
    pub(super) fn wait(&self, geometry: &Geometry, offset: GuestOffset) {
        let wanted = touched(offset, 1, geometry.subcluster_size());
        let mut changes = self.changes.lock();
        while let Some(other) = changes
            .active
            .iter()
            .find(|other| overlap(&other.range, &wanted))
        {
            if let Some(earlier) = &other.request {
                progress::follow(earlier.stage());
            }
            let earlier = changes.waiting.clone();
            if let Some(request) = progress::current() {
                request.stand();
                changes.waiting.push(request);
            }
            self.ended.wait(&mut changes);
            // Those that wait go on in the order in which they came.
            if progress::current().is_some() && !earlier.is_empty() {
                drop(changes);
                for request in &earlier {
                    request.await_rest();
                }
                changes = self.changes.lock();
            }
        }
    }

    /// Holds what a plan needs until it is carried out. The caller has the metadata locked since it asked for room.
    pub(super) fn track(&self, geometry: &Geometry, plan: WritePlan) -> Planned<'_> {
        let changing = plan.change.map(|change| {
            let range = if change.allocated {
                let bytes = change.clusters.saturating_mul(geometry.cluster_size());
                touched(change.first, bytes, geometry.cluster_size())
            } else {
                let covered = change.covered;
                let bytes = covered.to.distance_from(covered.from);
                touched(covered.from, bytes, geometry.subcluster_size())
            };
            let start = range.start;
            self.changes.lock().active.push(Changing {
                range,
                request: progress::current(),
            });
            (self, start)
        });
        // What was allocated is nobody else's before it is mapped.
        let own = plan.change.is_some_and(|change| change.allocated) || geometry.external_data();
        let place = if own {
            PlaceGuard::none()
        } else {
            self.hold(plan.host, plan.length)
        };
        Planned {
            plan,
            changing,
            _place: place,
        }
    }

    /// Keeps the clusters of a place from being given to others.
    pub(super) fn hold(&self, host: HostOffset, length: u64) -> PlaceGuard<'_> {
        let range = host.bytes()..host.bytes().saturating_add(length);
        self.used.lock().push(range.clone());
        PlaceGuard(Some((self, range)))
    }

    /// Whether a part of that place is in use.
    pub(super) fn uses(&self, host: HostOffset, length: u64) -> bool {
        let wanted = host.bytes()..host.bytes().saturating_add(length);
        self.used.lock().iter().any(|place| overlap(place, &wanted))
    }

    /// The cluster behind a place in use among `count` clusters from `first` on.
    pub(super) fn behind_use(
        &self,
        geometry: &Geometry,
        first: HostCluster,
        count: u64,
    ) -> Option<HostCluster> {
        let used = self.used.lock();
        if used.is_empty() {
            return None;
        }
        let start = geometry.host_offset(first).bytes();
        let wanted = start..geometry.host_offset(first.step(count)).bytes();
        used.iter()
            .filter(|place| overlap(place, &wanted))
            .map(|place| {
                geometry
                    .host_cluster(HostOffset::new(place.end - 1))
                    .step(1)
            })
            .max()
    }
}

impl Drop for PlaceGuard<'_> {
    fn drop(&mut self) {
        if let Some((flights, range)) = self.0.take() {
            let mut used = flights.used.lock();
            if let Some(index) = used.iter().position(|other| *other == range) {
                used.swap_remove(index);
            }
        }
    }
}

impl Drop for Planned<'_> {
    fn drop(&mut self) {
        if let Some((flights, start)) = self.changing.take() {
            let mut changes = flights.changes.lock();
            if let Some(index) = changes.active.iter().position(|c| c.range.start == start) {
                let ended = changes.active.swap_remove(index);
                if ended.request.is_some() {
                    changes.ended.push(ended);
                }
            }
            for request in changes.waiting.drain(..) {
                request.go_on();
            }
            drop(changes);
            flights.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
