//! Counts failures by *places*, and decides when a circuit trips. Pure: no clock, no thread.
//!
//! The place of a failure is the number of good calls that had ended before it, while failures
//! were watched; [`slots`](crate::runtime::slots) counts them. Two failures are consecutive if
//! and only if their places are equal. So good calls need not be reported one by one: the next
//! failure brings their number.
//!
//! The failing call counts, under a lock that only failing calls, probes that end and the actor
//! take, so that places never fall. The actor learns of a [`Trip`] and of nothing else.

use crate::protocol::moment::Moment;

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
    /// The number of failures that the rule counted.
    pub(crate) count: u64,
    /// The moment at which the last of them was counted.
    pub(crate) at: Moment,
    /// True if this process was contradicted: other processes do not fail as it does.
    pub(crate) refuted: bool,
}

/// Failures of one place: no good call ended between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    place: u64,
    count: u64,
}

/// The rules that trip a circuit. One rule so far: `of_last(T, T)`, which is T failures in a
/// row. All failures that stand for it have the same place.
#[derive(Clone, Debug)]
struct Rules {
    threshold: u64,
    run: Option<Run>,
}

impl Rules {
    /// `threshold` failures among as many calls.
    fn of_last(threshold: u64) -> Self {
        Self { threshold, run: None }
    }

    /// Counts a failure. Returns the number of failures if they trip the circuit.
    fn failure(&mut self, place: u64) -> Option<u64> {
        let before = self.run.filter(|run| run.place == place).map_or(0, |run| run.count);
        let count = before.saturating_add(1);
        self.run = Some(Run { place, count });
        (count >= self.threshold).then_some(count)
    }

    /// Drops failures that cannot count any more if the next failure has this place.
    fn forget_past(&mut self, place: u64) {
        self.run = self.run.filter(|run| run.place == place);
    }

    /// Goes on with a count of good calls that begins at zero again.
    fn carry_over(&mut self, last_place: u64) {
        self.forget_past(last_place);
        if let Some(run) = &mut self.run {
            run.place = 0;
        }
    }

    fn stands(&self) -> bool {
        self.run.is_some()
    }

    fn in_a_row(&self) -> u64 {
        self.run.map_or(0, |run| run.count)
    }

    fn clear(&mut self) {
        self.run = None;
    }
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
}

impl Counting {
    /// Begins in the first epoch. The circuit trips after `failure_threshold` failures in a
    /// row, and is closed by `success_threshold` good probes.
    pub(crate) fn new(failure_threshold: u64, success_threshold: u64) -> Self {
        Self {
            epoch: 1,
            rules: Rules::of_last(failure_threshold),
            contradiction: None,
            ends_after: success_threshold.saturating_mul(GOOD_CALLS),
            trip: None,
        }
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
    /// without them.
    pub(crate) fn failure(&mut self, place: u64, at: Moment) {
        if self.trip.is_some() {
            return;
        }
        // Before the rules: enough good calls before this failure end the contradiction, and
        // its trip must not be called refuted. A failure then starts their count again.
        self.carry_contradiction(place, |_| 0);
        if let Some(count) = self.rules.failure(place) {
            let (epoch, refuted) = (self.epoch, self.contradiction.is_some());
            self.trip = Some(Trip { epoch, count, at, refuted });
        }
    }

    /// Drops what cannot count any more if the next failure has this place.
    pub(crate) fn forget_past(&mut self, place: u64) {
        // A trip stands even if good calls come after it: its callers wait for it.
        if self.trip.is_some() {
            return;
        }
        self.rules.forget_past(place);
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

    /// Returns `true` if a failure or a contradiction stands, so that good calls are counted.
    pub(crate) fn stands(&self) -> bool {
        self.rules.stands() || self.contradiction.is_some()
    }

    /// Returns `true` if two or more failures in a row stand.
    pub(crate) fn is_failing(&self) -> bool {
        self.rules.in_a_row() >= 2
    }

    /// Returns the number of failures in a row.
    #[cfg(test)]
    pub(crate) fn in_a_row(&self) -> u64 {
        self.rules.in_a_row()
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
