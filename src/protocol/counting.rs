//! Counts failures by *places*, and decides when a circuit trips. Pure: no clock, no thread.
//!
//! The place of a failure is the number of good calls that had ended before it, while failures
//! were watched; [`slots`](crate::runtime::slots) counts them. Two failures are consecutive if
//! and only if their places are equal; else their distance is the number of good calls between
//! them, which is all that the [`Rules`] need. So good calls need not be reported one by one:
//! the next failure brings their number.
//!
//! The failing call counts, under a lock that only failing calls, probes that end and the actor
//! take, so that places never fall. The actor learns of a [`Trip`] and of nothing else.

mod rules;
mod voting;

use std::num::NonZeroU32;

pub(crate) use self::rules::Rules;
use self::rules::{Failure, Tripped};
use crate::{config::Config, protocol::moment::Moment, transition::Cause};

/// The number of bits of a place. At ten million calls a second they wrap after 30 hours, so
/// places are only compared for equality or by [`distance`].
const COUNT_BITS: u32 = 40;
pub(crate) const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// A contradiction ends after this many times `success_threshold` good calls in a row.
const GOOD_CALLS: u64 = 8;

/// Returns the number of good calls between an older place and a newer one.
pub(crate) fn distance(newer: u64, older: u64) -> u64 {
    newer.wrapping_sub(older) & COUNT_MASK
}

/// The rules said trip. The trip stands until the actor has published its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trip {
    /// The epoch that was counted.
    pub(crate) epoch: u64,
    /// The rule.
    pub(crate) cause: Cause,
    /// The number of failures that the rule counted.
    pub(crate) count: u64,
    /// The moment at which the last of them was counted.
    pub(crate) at: Moment,
    /// True if this process was contradicted: other processes do not fail as it does.
    pub(crate) refuted: bool,
    /// The seconds for which the call that failed last asked the circuit to be open.
    pub(crate) open_for: Option<NonZeroU32>,
}

/// This process tripped the circuit, and others found that the dependency is well. A
/// contradiction ends after enough good calls of this process *in a row*: one is no proof,
/// since a process that fails nine calls in ten has a good one in every ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contradiction {
    /// Good calls count from this place on.
    base: u64,
    /// Good calls of earlier epochs, and good probes, which count already.
    carried: u64,
}

impl Contradiction {
    const NEW: Self = Self { base: 0, carried: 0 };

    /// Returns the number of good calls in a row before this place.
    fn in_a_row(self, place: u64) -> u64 {
        let since = distance(place, self.base);
        // A thread that counts in the next epoch already is missing from the last sum of this
        // epoch, which may then be less than the base. The wrapped distance would be a million
        // million good calls, and end the contradiction.
        let since = if since > COUNT_MASK / 2 { 0 } else { since };
        self.carried.saturating_add(since)
    }
}

/// What stands in the counting of a circuit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remembered {
    /// True if a failure stands in any window, or a contradiction. It would be lost with the
    /// circuit, so it is not forgotten.
    pub(crate) any: bool,
    /// True if this process is contradicted, and has not had enough good calls since.
    pub(crate) contradiction: bool,
    /// When the last failure was counted.
    pub(crate) newest_failure: Option<Moment>,
}

/// The failures of one circuit in this process, and its contradiction.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    /// The epoch whose failures count.
    epoch: u64,
    rules: Rules,
    contradiction: Option<Contradiction>,
    /// The number of good calls in a row that ends a contradiction.
    ends_after: u64,
    /// The trip whose result is not published yet. While it stands no failure is counted.
    trip: Option<Trip>,
    newest_failure: Option<Moment>,
    /// True while an operator holds the circuit closed.
    is_held_closed: bool,
}

impl Counting {
    /// Begins in the first epoch. The circuit is closed by `success_threshold` good probes.
    pub(crate) fn new(rules: Rules, success_threshold: u64) -> Self {
        Self {
            epoch: 1,
            rules,
            contradiction: None,
            ends_after: success_threshold.saturating_mul(GOOD_CALLS),
            trip: None,
            newest_failure: None,
            is_held_closed: false,
        }
    }

    /// Takes whether an operator holds the circuit closed.
    pub(crate) fn hold_closed(&mut self, is_held_closed: bool) {
        self.is_held_closed = is_held_closed;
    }

    /// Counts by other settings from the next failure on. What stands goes on standing.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        self.rules.follow(config, self.newest_failure);
        self.ends_after = config.success_threshold().get().saturating_mul(GOOD_CALLS);
    }

    /// Returns the epoch whose failures count.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the trip whose result is not published yet.
    pub(crate) fn trip(&self) -> Option<&Trip> {
        self.trip.as_ref()
    }

    /// Counts a failure of this epoch. After a trip no more are counted: the next epoch begins
    /// without them. Returns `true` if this process is to vote at it.
    pub(crate) fn failure(&mut self, place: u64, at: Moment) -> bool {
        if self.trip.is_some() {
            return false;
        }
        self.newest_failure = Some(at);
        // Before the rules: enough good calls before this failure end the contradiction, and
        // its trip must not be called refuted. A failure then starts their count again.
        self.carry_contradiction(place, |_| 0);
        if let Some(Tripped { cause, count }) = self.rules.failure(Failure { place, at }) {
            let (epoch, refuted) = (self.epoch, self.contradiction.is_some());
            self.trip = Some(Trip { epoch, cause, count, at, refuted, open_for: None });
        }
        self.rules.vote(Failure { place, at }) && self.trip.is_none() && !self.is_contradicted()
    }

    /// Returns when the last failure came of the streak that this process votes for; `None` if it
    /// votes for none. A process that others contradict does not vote: they do not fail.
    pub(crate) fn votes_since(&self) -> Option<Moment> {
        self.rules.votes_since().filter(|_| !self.is_contradicted())
    }

    /// Returns `true` if one of the rules is of votes.
    pub(crate) fn has_votes(&self) -> bool {
        self.rules.has_votes()
    }

    fn is_contradicted(&self) -> bool {
        self.contradiction.is_some()
    }

    /// Trips for a failure that asks for the circuit to be open, whatever the rules say. A trip
    /// that stands already keeps its own time.
    pub(crate) fn open_for(&mut self, place: u64, at: Moment, seconds: NonZeroU32) {
        if self.trip.is_some() {
            return;
        }
        self.newest_failure = Some(at);
        self.carry_contradiction(place, |_| 0);
        let (epoch, refuted) = (self.epoch, self.contradiction.is_some());
        let (cause, open_for) = (Cause::OpenFor, Some(seconds));
        self.trip = Some(Trip { epoch, cause, count: 1, at, refuted, open_for });
    }

    /// Drops what cannot count any more if the next failure has this place, and comes at this
    /// moment.
    pub(crate) fn forget_past(&mut self, place: u64, at: Moment) {
        // A trip stands even if good calls come after it: its callers wait for it.
        if self.trip.is_some() {
            return;
        }
        self.rules.forget_past(Failure { place, at });
        self.carry_contradiction(place, |in_a_row| in_a_row);
    }

    /// Counts a probe of this process towards the end of the contradiction.
    pub(crate) fn probe(&mut self, place: u64, is_good: bool) {
        self.carry_contradiction(
            place,
            |in_a_row| {
                if is_good { in_a_row.saturating_add(1) } else { 0 }
            },
        );
    }

    /// Ends the contradiction if enough good calls in a row came before this place. Otherwise
    /// good calls count from this place on, besides `carried`, which is given those so far.
    fn carry_contradiction(&mut self, place: u64, carried: impl FnOnce(u64) -> u64) {
        let in_a_row = self.contradiction.map(|contradiction| contradiction.in_a_row(place));
        self.contradiction = in_a_row
            .filter(|in_a_row| *in_a_row < self.ends_after)
            .map(|in_a_row| Contradiction { base: place, carried: carried(in_a_row) });
    }

    /// Returns what would be lost with the circuit.
    pub(crate) fn remembered(&self) -> Remembered {
        Remembered {
            any: self.rules.stands() || self.contradiction.is_some(),
            contradiction: self.contradiction.is_some(),
            newest_failure: self.newest_failure,
        }
    }

    /// Returns `true` if good calls are to be counted.
    pub(crate) fn needs_good_calls(&self) -> bool {
        self.rules.need_good_calls() || self.contradiction.is_some()
    }

    /// Returns `true` if two or more failures in a row stand; one is enough with a rule of votes,
    /// since then others may have tripped the circuit for as few failures of each. `false` while
    /// the circuit is held closed: then no process trips it.
    pub(crate) fn is_failing(&self) -> bool {
        let enough = if self.rules.has_votes() { 1 } else { 2 };
        self.rules.streak() >= enough && !self.is_held_closed
    }

    /// Returns the number of failures in a row.
    #[cfg(test)]
    pub(crate) fn in_a_row(&self) -> u64 {
        self.rules.streak()
    }

    /// Starts an epoch, in which failures count from zero. `last_place` is the number of good
    /// calls of the epoch before. The epoch begins with a contradiction if the machine says
    /// that others have closed the circuit that this process had tripped.
    ///
    /// An epoch is started once. A failing call may do so before the actor does, and does not
    /// know of the contradiction: the actor adds it later, also to a trip found in between.
    pub(crate) fn start_epoch(&mut self, epoch: u64, last_place: u64, contradicted: bool) {
        if epoch > self.epoch {
            self.rules.clear();
            self.begin(epoch, last_place);
        }
        if contradicted && epoch == self.epoch && self.contradiction.is_none() {
            // This counts good calls from the begin of the epoch, also those before a failure
            // that was counted already. The error lasts until the next failure, which starts
            // the count again.
            self.contradiction = Some(Contradiction::NEW);
            if let Some(trip) = &mut self.trip {
                trip.refuted = true;
            }
        }
    }

    /// Gives the epoch a new number, since the process was frozen while the circuit was closed:
    /// calls that were admitted before the freeze do not count. Failures that were counted
    /// before it stand, or a process that is frozen between any two calls would never trip. A
    /// trip that was not published before the freeze is dropped, with its failures.
    pub(crate) fn renumber(&mut self, epoch: u64, last_place: u64) {
        if epoch <= self.epoch {
            return;
        }
        if self.trip.is_some() {
            self.rules.clear();
        }
        self.rules.carry_over(last_place);
        self.begin(epoch, last_place);
    }

    fn begin(&mut self, epoch: u64, last_place: u64) {
        self.epoch = epoch;
        self.trip = None;
        // By the place of the epoch that ends; in the new one places begin at zero.
        self.carry_contradiction(last_place, |in_a_row| in_a_row);
        if let Some(contradiction) = &mut self.contradiction {
            contradiction.base = 0;
        }
    }

    /// Counts from zero again, in the same epoch: the machine refused the trip.
    pub(crate) fn restart(&mut self) {
        self.rules.clear();
        self.trip = None;
    }
}

#[cfg(test)]
mod tests;
