//! What is counted under the lock.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::vote::{AwaitedVote, LastAsked};
use crate::{
    config::Config,
    protocol::counting::{Counting, Rules},
    runtime::circuit::{Pending, message::Settle},
    runtime::gate::{Gate, Watch},
};

/// Failures, and the trips that callers wait for.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) counting: Counting,
    /// The settings that the counting follows.
    pub(super) config: Arc<Config>,
    /// The number of failures that were counted. The actor compares it before it forgets the
    /// circuit.
    pub(super) failures: u64,
    /// At most one for each epoch; two if a new epoch trips before the actor has answered the
    /// callers of the epoch before.
    pub(super) awaited_trips: Vec<AwaitedTrip>,
    /// `true` while this process may have a vote, which its next good call withdraws.
    pub(super) may_vote: bool,
    /// Those who wait for the vote of this process. Boxed: few circuits vote.
    pub(super) awaited_vote: Option<Box<AwaitedVote>>,
    pub(super) last_asked: Option<Box<LastAsked>>,
}

/// A trip that is not settled yet. All its callers wait for the same `Pending`, so memory stays
/// bounded however many failures come after it.
#[derive(Debug)]
pub(super) struct AwaitedTrip {
    pub(super) epoch: u64,
    /// Idle once the trip is settled.
    pub(super) callers: Arc<Pending>,
    pub(super) settle: Settle,
}

impl Tally {
    pub(super) fn new(config: &Arc<Config>) -> Self {
        Self {
            counting: Counting::new(Rules::new(config), config.success_threshold().get()),
            config: Arc::clone(config),
            failures: 0,
            awaited_trips: Vec::new(),
            may_vote: false,
            awaited_vote: None,
            last_asked: None,
        }
    }

    /// Shows the gate what stands.
    pub(super) fn show(&self, gate: &Gate) {
        let watch = match (self.counting.needs_good_calls(), self.may_vote) {
            (false, _) => Watch::Nothing,
            (true, false) => Watch::Count,
            (true, true) => Watch::Withdraw,
        };
        gate.show_counting(watch, self.counting.is_failing());
    }

    /// Has the counting follow the newest settings. Under the lock of the tally: of two calls that
    /// fail at once, the later one counts by settings that are at least as new.
    pub(super) fn follow(&mut self, newest: &ArcSwap<Config>) {
        let config = newest.load();
        if !Arc::ptr_eq(&config, &self.config) {
            self.counting.reconfigure(&config);
            self.config = Arc::clone(&config);
        }
    }

    /// Takes the trips of earlier epochs.
    pub(super) fn take_before(&mut self, epoch: u64) -> Vec<Settle> {
        let over = self.awaited_trips.extract_if(.., |trip| trip.epoch < epoch);
        over.map(|trip| trip.settle).collect()
    }
}
