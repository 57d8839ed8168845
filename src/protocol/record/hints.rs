//! What an opening leaves on the record beside what the protocol needs.

use std::sync::Arc;

use super::{
    Record,
    attribute::{
        Attribute::{Cause, DownSince, FailedProbes, OpenUntil},
        Change,
    },
    changes::{forget, set},
};

/// How long an opening lasts, where it is not the recovery timeout of whoever looks, and what
/// the outage began with.
///
/// Hints: no condition names them, and without them a process waits for its own
/// recovery timeout. None is written unless it is set here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// Failed probes in a row before this opening.
    pub failed_probes: Option<u64>,
    /// The end of this opening, where a call has asked for it.
    pub open_until: Option<i64>,
    /// When the outage began. Only a trip, a hold and an election without a record write it; a
    /// closing removes it.
    pub down_since: Option<i64>,
    /// The cause of the first opening of the outage, as `down_since`.
    pub cause: Option<Arc<str>>,
}

impl Hints {
    /// No hints.
    pub const NONE: Self =
        Self { failed_probes: None, open_until: None, down_since: None, cause: None };

    /// Returns the changes that write how long an opening lasts over a record that was seen.
    pub(super) fn of_length(&self, seen: Option<&Record>) -> Vec<Change> {
        let probes = self
            .failed_probes
            .map_or_else(|| forget_unsound_count(seen), |probes| vec![set(FailedProbes, &probes)]);
        let until = self
            .open_until
            .map_or_else(|| forget(OpenUntil, seen), |until| vec![set(OpenUntil, &until)]);
        [probes, until].concat()
    }

    /// As [`of_length`](Self::of_length), for a trip. A count that it does not set is of an outage
    /// that is over: left, the next process with a back-off would go on from it.
    pub(super) fn of_a_trip(&self, seen: Option<&Record>) -> Vec<Change> {
        let kept = seen.filter(|seen| seen.has_sound_failed_probes());
        let kept = kept.filter(|_| self.failed_probes.is_none());
        [self.of_length(seen), forget(FailedProbes, kept)].concat()
    }

    /// Returns the changes that write what an outage began with over a record that was seen. What
    /// is not known is removed: it would be that of an older outage.
    pub(super) fn of_outage(&self, seen: Option<&Record>) -> Vec<Change> {
        let since = self
            .down_since
            .map_or_else(|| forget(DownSince, seen), |since| vec![set(DownSince, &since)]);
        let cause = self
            .cause
            .as_ref()
            .map_or_else(|| forget(Cause, seen), |cause| vec![set(Cause, cause)]);
        [since, cause].concat()
    }
}

/// Removes a `failed_probes` that no process writes: left, it would be warned of at each change.
fn forget_unsound_count(seen: Option<&Record>) -> Vec<Change> {
    forget(FailedProbes, seen.filter(|seen| !seen.has_sound_failed_probes()))
}

/// Removes the hints on the length of openings: what an operator decides begins from none.
pub(super) fn forget_length(seen: Option<&Record>) -> Vec<Change> {
    [forget(FailedProbes, seen), forget(OpenUntil, seen)].concat()
}
