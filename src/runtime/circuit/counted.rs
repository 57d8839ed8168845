//! Counts the end of a call, and tells the actor of a trip or the verdict of a probe.
//!
//! A failing call counts by itself, under a mutex that only failing calls, probes that end
//! and the actor take. The failure that trips stores a [`Trip`], which stays here until the
//! actor has published its result, so a full mailbox loses nothing: the message only wakes the
//! actor. A failure that decides nothing sends no message. The verdict of a probe goes to the
//! actor.
//!
//! Callers are promised that once the failures that trip have returned, no call is admitted.
//! So a trip ends in this order:
//!
//! 1. The actor shows the trip to the machine, and publishes: calls that begin from here on are
//!    rejected.
//! 2. It starts the new epoch here. A failure that is counted between 1 and 2 finds the trip,
//!    and waits for it. If 2 came first, that failure would be one of a state that is over,
//!    and its caller would return while the gate still admits.
//! 3. It answers the callers that wait.
//!
//! | the call's epoch is | its failure |
//! |---|---|
//! | before the one that is counted | does not count: the end of its epoch is published |
//! | the one that is counted | counts |
//! | after it | begins the epoch: the actor has published it, and is between 1 and 2 |

mod tally;
mod vote;

use std::{
    hint::cold_path,
    num::NonZeroU32,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use self::tally::{AwaitedTrip, Tally};
pub(crate) use self::vote::CountedVote;
use super::{Awaited, Circuit, Outstanding, Pending, Settled};
use crate::{
    config::Config,
    protocol::counting::{COUNT_MASK, Counting, Remembered, Trip, distance},
    protocol::machine::{CallEnd, CallId, Published},
    protocol::moment::Moment,
    runtime::circuit::message::{Message, Settle},
    runtime::gate::{Gate, Watch},
    runtime::slots::Slots,
    runtime::sync::{AtomicU64, Mutex, MutexGuard, flume, oneshot},
};

/// The counts of a circuit. Made at its first failure: a healthy circuit has none.
#[derive(Debug)]
pub(super) struct Counted {
    /// Good calls, which take no lock.
    slots: Slots,
    tally: Mutex<Tally>,
    /// The number of freezes after which failures were last ignored; zero if a call has asked
    /// the actor since.
    ignored_after: AtomicU64,
}

/// The result of a turn of the actor.
pub(crate) struct Turn<'a> {
    pub(crate) published: &'a Published,
    /// True if the epoch begins with a contradiction. True in one turn of an epoch at most.
    pub(crate) is_contradicted: bool,
    /// The good calls that had been counted when this was published, if the epoch is the one before
    /// under a new number: the process was frozen.
    pub(crate) thaw: Option<u64>,
    /// The number of freezes of the process that the machine knows of.
    pub(crate) freezes: u64,
    /// The trip that was shown to the machine in this turn.
    pub(crate) trip: Option<Box<Trip>>,
}

/// The answer of the counting to the actor, after a turn.
#[derive(Default)]
pub(crate) struct Followed {
    /// To be signalled once no write is outstanding.
    pub(crate) settles: Vec<Settle>,
    pub(crate) remembered: Remembered,
    /// The number of failures that were counted until now.
    pub(crate) failures: u64,
}

impl Counted {
    fn new(config: &Arc<Config>, epoch: u64) -> Box<Self> {
        Box::new(Self {
            slots: Slots::new(epoch),
            tally: Mutex::new(Tally::new(config)),
            ignored_after: AtomicU64::new(0),
        })
    }

    /// Locks the tally. No user code but a clock runs under the lock, and a panic in it leaves
    /// the tally whole.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of good calls of the counted epoch that have ended.
    fn place(&self, counting: &Counting) -> u64 {
        self.slots.place(counting.epoch())
    }

    /// Drops failures that good calls have ended, and shows the gate what stands.
    fn forget_past(&self, tally: &mut Tally, at: Moment, gate: &Gate) {
        let counting = &mut tally.counting;
        counting.forget_past(self.place(counting), at);
        tally.show(gate);
    }
}

impl Circuit {
    /// Reports the end of a call. Returns something to wait for only if the outcome may lead
    /// to a write.
    #[inline]
    pub(crate) fn report(&self, call: CallId, end: CallEnd) -> Outstanding {
        if call.probe.is_none() && end == CallEnd::Success {
            return self.report_good(call.epoch);
        }
        self.report_counted(call, end)
    }

    #[inline]
    fn report_good(&self, epoch: u64) -> Outstanding {
        match self.gate.watch() {
            Watch::Nothing => {}
            Watch::Count => self.count_good(epoch),
            Watch::Withdraw => return self.count_withdrawal(epoch),
        }
        None
    }

    /// Reports a good call that is no probe, which says and causes nothing: the path of nearly all
    /// calls. Where it is `false` nothing was reported: also for one that may withdraw a vote.
    #[inline]
    pub(crate) fn report_silently(&self, call: CallId, end: CallEnd) -> bool {
        if call.probe.is_some() || end != CallEnd::Success {
            return false;
        }
        match self.gate.watch() {
            Watch::Nothing => true,
            Watch::Count => {
                self.count_good(call.epoch);
                true
            }
            Watch::Withdraw => false,
        }
    }

    /// Inlined into callers: the call of a function, and the registers that it saves, take longer
    /// than the counting.
    #[inline]
    fn count_good(&self, epoch: u64) {
        cold_path();
        // Without counts the first failure is being counted right now: concurrent with
        // this call, which may come before it.
        if let Some(counted) = self.counted.get() {
            counted.slots.count_good(epoch);
        }
    }

    #[inline(never)]
    fn report_counted(&self, call: CallId, end: CallEnd) -> Outstanding {
        match (call.probe, end) {
            (Some(_), _) => self.report_probe(call, end),
            (None, CallEnd::Failure | CallEnd::OpenFor(_)) => {
                self.count_failure(call.epoch, end.open_time())
            }
            (None, CallEnd::Success) => self.report_good(call.epoch),
            (None, CallEnd::Ignored | CallEnd::Dropped) => None,
        }
    }

    /// Counts a failure of a call that was admitted in `epoch`. The failure that trips the
    /// circuit, and those that find its trip, get something to wait for.
    fn count_failure(&self, epoch: u64, open_for: Option<NonZeroU32>) -> Outstanding {
        if epoch == CallId::REPORTED.epoch {
            return None;
        }
        if self.mailbox.is_disconnected() {
            self.pending.ending.found_by(&self.name);
            return None;
        }
        if self.is_cut_off() && self.may_ignore_cut_off(epoch) {
            // The actor will begin an epoch to which this call does not belong. Wake it, or
            // failures would go uncounted until the next message. A full mailbox wakes it too.
            let _ = self.mailbox.try_send(Message::Wake);
            return None;
        }
        let (callers, is_first) = self.count(self.counted_from(epoch), epoch, open_for)?;
        Some(self.wait_for(callers, is_first))
    }

    /// Returns a wait for a trip or a vote. Only the first caller wakes the actor, or a burst of
    /// failures would fill the mailbox.
    fn wait_for(&self, callers: Arc<Pending>, is_first: bool) -> Box<Awaited> {
        // A full mailbox is no loss: the actor is at work, and looks for a trip after each
        // batch.
        if is_first
            && let Err(flume::TrySendError::Disconnected(_)) = self.mailbox.try_send(Message::Wake)
        {
            // The actor has gone, and may have ended the counting before this trip was added:
            // end it again, or this caller would wait for its whole limit.
            self.end_counting();
        }
        self.awaited(Settled::Tripped(callers))
    }

    /// Counts a failure. Returns the trip to wait for, if there is one, and `true` if this
    /// failure is the first that waits for it.
    fn count(
        &self,
        counted: &Counted,
        epoch: u64,
        open_for: Option<NonZeroU32>,
    ) -> Option<(Arc<Pending>, bool)> {
        let mut tally = counted.tally();
        tally.follow(&self.config);
        let Tally { counting, failures, .. } = &mut *tally;
        if epoch < counting.epoch() {
            // The end of that epoch was published before the next epoch began here: the caller
            // may return, since the gate no longer admits calls into it.
            return None;
        }
        if epoch > counting.epoch() {
            // The actor has published this epoch, and has yet to start it here. The failure must
            // not count in the epoch before. `start_epoch` adds a contradiction later.
            counting.start_epoch(epoch, counted.place(counting), false);
        }
        *failures = failures.wrapping_add(1);
        self.counts.fail();
        // Read the clock under the lock, so that stamps never fall.
        let (place, at) = (counted.place(counting), self.clock.now());
        let votes = match open_for {
            None => counting.failure(place, at),
            Some(seconds) => {
                counting.open_for(place, at, seconds);
                false
            }
        };
        let has_tripped = counting.trip().is_some();
        tally.may_vote |= votes && !has_tripped;
        // Under the lock too: shown later, `watched` could undo what a newer failure has shown,
        // and good calls would go uncounted.
        tally.show(&self.gate);
        if !has_tripped {
            return if votes { self.count_vote(&mut tally, place, at) } else { None };
        }
        let awaited_trips = &mut tally.awaited_trips;
        if let Some(trip) = awaited_trips.iter().find(|trip| trip.epoch == epoch) {
            return Some((Arc::clone(&trip.callers), false));
        }
        let callers = Arc::<Pending>::default();
        let settle = Settle::of_trip(self.pending.start(), callers.start());
        awaited_trips.push(AwaitedTrip { epoch, callers: Arc::clone(&callers), settle });
        Some((callers, true))
    }

    /// Returns `true` if the process was frozen since the current epoch began, and the actor has
    /// yet to begin the next one. Failures are no evidence then: the freeze may have cut their
    /// calls off.
    ///
    /// Acquire: a thread that sees the newest number of freezes must see the counting in the
    /// epoch that came after them, or it would count the failure in the epoch before.
    fn is_cut_off(&self) -> bool {
        self.clock.freezes(self.clock.now()) != self.freezes.load(Ordering::Acquire)
    }

    /// Returns `true` if failures after the newest freeze are ignored. They count if those of an
    /// earlier freeze were ignored and the actor has admitted no call since: the gate then admits
    /// without it, calls of after the thaw too, and a process that is frozen between any two
    /// calls would never trip. The freeze is then known, and begins no epoch.
    fn may_ignore_cut_off(&self, epoch: u64) -> bool {
        let newest = self.clock.freezes(self.clock.now());
        let counted = self.counted_from(epoch);
        let ignored = counted.ignored_after.swap(newest, Ordering::Relaxed);
        if ignored == 0 || ignored == newest {
            return true;
        }
        counted.ignored_after.store(0, Ordering::Relaxed);
        self.freezes.store(newest, Ordering::Release);
        false
    }

    /// Notes that the actor admits calls, and not the gate alone.
    pub(crate) fn note_asked(&self) {
        if let Some(counted) = self.counted.get() {
            counted.ignored_after.store(0, Ordering::Relaxed);
        }
    }

    /// Returns `true` if the machine knows of this number of freezes, and the result is
    /// published.
    pub(crate) fn knows_freezes(&self, freezes: u64) -> bool {
        self.freezes.load(Ordering::Relaxed) == freezes
    }

    /// Returns the counts, which begin with `epoch` if there are none.
    fn counted_from(&self, epoch: u64) -> &Counted {
        self.counted.get_or_init(|| Counted::new(&self.config(), epoch))
    }

    /// Returns the trip that was counted and that the actor has not ended yet.
    pub(crate) fn trip(&self) -> Option<Box<Trip>> {
        let found = self.counted.get()?.tally().counting.trip().cloned();
        found.map(Box::new)
    }

    /// Returns `true` if two or more failures in a row stand now, after all good calls that have
    /// ended. The gate shows it as of the last failure or turn.
    pub(crate) fn check_is_failing(&self) -> bool {
        self.counted.get().is_some_and(|counted| {
            let mut tally = counted.tally();
            counted.forget_past(&mut tally, self.clock.now(), &self.gate);
            tally.counting.is_failing()
        })
    }

    /// Has the counting follow the published state. Called by the actor alone, at the end of
    /// each turn; so each turn also drops the failures that good calls have ended.
    pub(crate) fn follow(&self, turn: &Turn<'_>) -> Followed {
        let followed = self.follow_epoch(turn);
        // After the epoch: a failure that sees this number of freezes counts again, and must
        // find the new epoch.
        self.freezes.store(turn.freezes, Ordering::Release);
        followed
    }

    fn follow_epoch(&self, turn: &Turn<'_>) -> Followed {
        let epoch = turn.published.epoch;
        // A contradicted process counts good calls before its first failure, since they end
        // the contradiction.
        let counted =
            if turn.is_contradicted { Some(self.counted_from(epoch)) } else { self.known_count() };
        let Some(counted) = counted else {
            return Followed::default();
        };
        let mut tally = counted.tally();
        tally.follow(&self.config);
        let counting = &mut tally.counting;
        counting.hold_closed(turn.published.is_held_closed);
        // Before `start_epoch`, which would clear the failures from before the freeze: a
        // process that is frozen between any two calls would never trip.
        if let Some(before) = turn.thaw {
            // A thread that has counted in the new epoch since is missing from this sum.
            let place = counted.place(counting);
            let is_less = distance(before, place) <= COUNT_MASK / 2;
            counting.renumber(epoch, if is_less { before } else { place });
        }
        counting.start_epoch(epoch, counted.place(counting), turn.is_contradicted);
        // The machine refused the trip: count again from zero. One that it was not shown stays.
        let is_refused = turn.trip.as_ref().is_some_and(|trip| trip.epoch == epoch);
        if is_refused {
            counting.restart();
        }
        // After the epoch and the restart, so that the gate shows what they have left; and
        // before `restore_quiet`, which goes by it.
        counted.forget_past(&mut tally, self.clock.now(), &self.gate);
        self.gate.restore_quiet(turn.published);
        let remembered = tally.counting.remembered();
        let settles = tally.take_before(epoch.saturating_add(u64::from(is_refused)));
        Followed { settles, remembered, failures: tally.failures }
    }

    fn known_count(&self) -> Option<&Counted> {
        self.counted.get().map(|counted| &**counted)
    }

    /// Returns the number of good calls of the counted epoch that have ended.
    pub(crate) fn good_calls(&self) -> u64 {
        self.counted.get().map_or(0, |counted| counted.place(&counted.tally().counting))
    }

    /// Returns the number of failures that were counted until now.
    pub(crate) fn failures(&self) -> u64 {
        self.counted.get().map_or(0, |counted| counted.tally().failures)
    }

    /// Ends the counting of a circuit whose actor has gone, and releases its callers.
    pub(crate) fn end_counting(&self) {
        if self.gate.take_probe_report().is_some() {
            drop(self.pending.resume());
        }
        if let Some(counted) = self.counted.get() {
            let mut tally = counted.tally();
            self.gate.show_counting(Watch::Nothing, false);
            let ended = (std::mem::take(&mut tally.awaited_trips), tally.awaited_vote.take());
            // Outside the lock: this wakes callers, whose wakers are not our code.
            drop(tally);
            drop(ended);
        }
    }

    fn report_probe(&self, call: CallId, end: CallEnd) -> Outstanding {
        // A probe that a freeze has cut off says nothing of the dependency. As an ignored call
        // it leaves the right to probe to the next call; as a failure it would reopen.
        let is_cut_off = end.is_failure() && self.is_cut_off();
        let end = if is_cut_off { CallEnd::Ignored } else { end };
        if let Some(counted) = self.counted.get()
            && (end == CallEnd::Success || end.is_failure())
        {
            let mut tally = counted.tally();
            // Here, not in the actor: the next failure must find the probe counted.
            let place = counted.place(&tally.counting);
            tally.counting.probe(place, end == CallEnd::Success);
        }
        let (done, settled) = oneshot::channel();
        let settle = Settle::of_probe(self.pending.start(), done);
        let at = self.clock.now();
        let message = Message::Outcome { at, call, end, settle: Some(settle) };
        match self.mailbox.try_send(message) {
            Ok(()) => Some(self.awaited(Settled::Answered(settled))),
            Err(flume::TrySendError::Disconnected(_)) => {
                self.pending.ending.found_by(&self.name);
                None
            }
            Err(flume::TrySendError::Full(_)) => {
                self.note_at_gate(call, end);
                Some(self.awaited(Settled::Idle(Arc::clone(&self.pending))))
            }
        }
    }

    /// Notes the verdict of a probe in one word at the gate: the mailbox is full.
    fn note_at_gate(&self, call: CallId, end: CallEnd) {
        // The word counts as one pending outcome however many verdicts it replaces. Start the
        // count before writing the word, or the actor could take the word and end the count
        // first.
        let pending = self.pending.start();
        if call.probe.is_some_and(|probe| self.gate.note_probe(probe, end)) {
            pending.keep();
        }
        // The actor may have emptied its mailbox in between and gone to sleep: wake it.
        if let Err(flume::TrySendError::Disconnected(_)) = self.mailbox.try_send(Message::Wake) {
            self.end_counting();
        }
    }

    fn awaited(&self, settled: Settled) -> Box<Awaited> {
        let limit = self.config().store_timeout();
        Box::new(Awaited { settled, limit, clock: self.clock.clone(), turns: self.turns() })
    }
}

#[cfg(test)]
mod tests;
