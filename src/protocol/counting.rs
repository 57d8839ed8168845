//! When a circuit trips: failures counted by *places*. Pure: no clock, no thread.
//!
//! The place of a failure is how many good calls had ended before it, while failures
//! were watched ([`slots`](crate::runtime::slots) has the number). Two failures are consecutive
//! if and only if their places are equal, so good calls need not be told one by one:
//! the next failure brings how many there were.
//!
//! The failing call counts, under a lock that only failing calls and the actor take,
//! so that places never fall. The actor learns of a [`Trip`] and of nothing else.

use crate::protocol::moment::Moment;

/// How many bits of a place count. A run of the process is shorter than it takes to
/// count that far (30 hours at ten million calls a second), and what wraps is only
/// ever compared by [`distance`].
const COUNT_BITS: u32 = 40;
pub(crate) const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// How many good calls in a row end a contradiction, for each that closes a circuit.
const GOOD_CALLS: u64 = 8;

/// How many good calls lie between an older place and a newer one.
pub(crate) fn distance(newer: u64, older: u64) -> u64 {
    newer.wrapping_sub(older) & COUNT_MASK
}

/// The rules said trip. It stands until the actor has published what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trip {
    /// The epoch that was counted.
    pub(crate) epoch: u64,
    /// How many failures the rule counted.
    pub(crate) count: u64,
    /// When the last of them was counted.
    pub(crate) at: Moment,
    /// Whether this process was contradicted: others do not fail as it does.
    pub(crate) refuted: bool,
}

/// Failures of one place: no good call lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    place: u64,
    count: u64,
}

/// What trips a circuit. One rule so far: `of_last(T, T)`, which is T failures in a
/// row. Of such a rule all failures that stand have one place.
#[derive(Debug)]
struct Rules {
    threshold: u64,
    run: Option<Run>,
}

impl Rules {
    /// `threshold` failures among as many calls.
    fn of_last(threshold: u64) -> Self {
        Self { threshold, run: None }
    }

    /// Counts a failure; says how many were counted if that trips the circuit.
    fn failure(&mut self, place: u64) -> Option<u64> {
        let before = self.run.filter(|run| run.place == place).map_or(0, |run| run.count);
        let count = before.saturating_add(1);
        self.run = Some(Run { place, count });
        (count >= self.threshold).then_some(count)
    }

    /// Drops what can count no more, now that the next failure has this place.
    fn forget_past(&mut self, place: u64) {
        self.run = self.run.filter(|run| run.place == place);
    }

    /// Goes on under another count of good calls, which begins at zero.
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

/// This process tripped the circuit, and others found that the dependency is well.
/// It stands until so many calls of this process *in a row* were good: one alone is
/// no proof, since of a process that fails nine calls in ten every tenth is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Contradiction {
    /// The place from which good calls count.
    base: u64,
    /// Those that count already: of earlier epochs, and of probes.
    carried: u64,
}

impl Contradiction {
    const NEW: Self = Self { base: 0, carried: 0 };

    /// The good calls in a row before this place.
    fn in_a_row(self, place: u64) -> u64 {
        let since = distance(place, self.base);
        // A thread that counts in the next epoch already is missing from the last sum of
        // this one, which may then be less than the base: that is no million million of
        // good calls.
        let since = if since > COUNT_MASK / 2 { 0 } else { since };
        self.carried.saturating_add(since)
    }
}

/// What is counted of one circuit in this process.
#[derive(Debug)]
pub(crate) struct Counting {
    /// The epoch whose failures count.
    epoch: u64,
    rules: Rules,
    contradiction: Option<Contradiction>,
    /// How many good calls in a row end a contradiction.
    ends_after: u64,
    /// What was found and not published yet.
    trip: Option<Trip>,
}

impl Counting {
    /// Counts from the first epoch on. The circuit trips after `failure_threshold`
    /// failures in a row, and is closed by `success_threshold` good probes.
    pub(crate) fn new(failure_threshold: u64, success_threshold: u64) -> Self {
        Self {
            epoch: 1,
            rules: Rules::of_last(failure_threshold),
            contradiction: None,
            ends_after: success_threshold.saturating_mul(GOOD_CALLS),
            trip: None,
        }
    }

    /// The epoch whose failures count.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The trip that was found and not published yet.
    pub(crate) fn trip(&self) -> Option<&Trip> {
        self.trip.as_ref()
    }

    /// Counts a failure of this epoch. Once a trip was found no more are counted: the
    /// next epoch begins without them.
    pub(crate) fn failure(&mut self, place: u64, at: Moment) {
        if self.trip.is_some() {
            return;
        }
        self.carry_contradiction(place, |_| 0);
        if let Some(count) = self.rules.failure(place) {
            let (epoch, refuted) = (self.epoch, self.contradiction.is_some());
            self.trip = Some(Trip { epoch, count, at, refuted });
        }
    }

    /// Drops what can count no more, now that the next failure has this place.
    pub(crate) fn forget_past(&mut self, place: u64) {
        if self.trip.is_some() {
            return;
        }
        self.rules.forget_past(place);
        self.carry_contradiction(place, |in_a_row| in_a_row);
    }

    /// A probe of this process ended, with a verdict.
    pub(crate) fn probe(&mut self, place: u64, is_good: bool) {
        self.carry_contradiction(
            place,
            |in_a_row| {
                if is_good { in_a_row.saturating_add(1) } else { 0 }
            },
        );
    }

    /// Ends the contradiction if enough calls in a row were good before this place, and
    /// otherwise has good calls count from here on, beside those that count already.
    fn carry_contradiction(&mut self, place: u64, carried: impl FnOnce(u64) -> u64) {
        let in_a_row = self.contradiction.map(|contradiction| contradiction.in_a_row(place));
        self.contradiction = in_a_row
            .filter(|in_a_row| *in_a_row < self.ends_after)
            .map(|in_a_row| Contradiction { base: place, carried: carried(in_a_row) });
    }

    /// Whether good calls are to be counted: a failure stands, or a contradiction.
    pub(crate) fn stands(&self) -> bool {
        self.rules.stands() || self.contradiction.is_some()
    }

    /// Whether two or more failures in a row stand.
    pub(crate) fn is_failing(&self) -> bool {
        self.rules.in_a_row() >= 2
    }

    /// How many failures in a row stand.
    #[cfg(test)]
    pub(crate) fn in_a_row(&self) -> u64 {
        self.rules.in_a_row()
    }

    /// A new epoch, whose failures count from none on; `last_place` is how many good
    /// calls the one before had. It begins with a contradiction if the machine says
    /// that others have closed what this process had tripped.
    ///
    /// An epoch begins once. A failing call can be the first to know of it, and what
    /// the actor says of it later is added: also to a trip that was found meanwhile.
    pub(crate) fn start_epoch(&mut self, epoch: u64, last_place: u64, contradicted: bool) {
        if epoch > self.epoch {
            self.rules.clear();
            self.begin(epoch, last_place);
        }
        if contradicted && epoch == self.epoch && self.contradiction.is_none() {
            // Failures of this epoch that were counted before leave fewer good calls
            // in a row than this assumes; the next failure starts from none.
            self.contradiction = Some(Contradiction::NEW);
            if let Some(trip) = &mut self.trip {
                trip.refuted = true;
            }
        }
    }

    /// The process was frozen while the circuit was closed. The epoch gets a new number, so
    /// that calls which were admitted before it count for nothing; what was counted stands,
    /// or a process that is frozen between any two calls would never trip. A trip that was
    /// found before the freeze, and not published, is dropped with what it counted.
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
        self.carry_contradiction(last_place, |in_a_row| in_a_row);
        if let Some(contradiction) = &mut self.contradiction {
            contradiction.base = 0;
        }
    }

    /// The machine refused the trip in the trip's own epoch: counts from none on.
    pub(crate) fn restart(&mut self) {
        self.rules.clear();
        self.trip = None;
    }
}

#[cfg(test)]
mod tests;
