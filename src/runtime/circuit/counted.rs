//! How the end of a call is counted, and what of it goes to the actor.
//!
//! A failing call counts by itself, under a mutex that only failing calls and the actor
//! take. What it decides is a trip, which stays here until the actor has published what
//! came of it, so that a full mailbox loses nothing: a message only wakes the actor. One
//! that decides nothing wakes nobody. The verdict of a probe is the actor's.
//!
//! The order in which a trip ends keeps a promise to callers: once the failures that
//! trip have returned, nobody is admitted.
//!
//! 1. The actor shows the trip to the machine, and publishes: calls that begin from
//!    here on are rejected.
//! 2. It starts the new epoch here. A failure that was counted after 1 and before 2
//!    finds the trip, and waits; started before 1, it would count as a failure of a
//!    state that is over, and return while the gate still admits.
//! 3. It answers those who wait.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use super::{Awaited, Circuit, Outstanding, Pending, Settled};
use crate::{
    config::Config,
    protocol::counting::{Counting, Trip},
    protocol::machine::{CallEnd, CallId, Published},
    runtime::actor::message::{Message, Settle},
    runtime::gate::Gate,
    runtime::slots::Slots,
    runtime::sync::{Mutex, MutexGuard, flume, oneshot},
};

/// What is counted of a circuit, from its first failure on.
#[derive(Debug)]
pub(super) struct Counted {
    /// Good calls, which take no lock.
    slots: Slots,
    tally: Mutex<Tally>,
}

/// Failures, and the trips whose end is awaited.
#[derive(Debug)]
struct Tally {
    counting: Counting,
    /// How many failures were counted, to see whether any was since.
    failures: u64,
    /// At most one for each epoch; two if a new epoch trips before the actor has told
    /// the callers of the one before.
    under_way: Vec<UnderWay>,
}

/// A trip that is not settled yet. All its callers wait for one thing, so that memory
/// stays bounded however many failures come after it.
#[derive(Debug)]
struct UnderWay {
    epoch: u64,
    /// Idle once the trip is settled.
    callers: Arc<Pending>,
    settle: Settle,
}

/// What a turn of the actor came to.
pub(crate) struct Turn<'a> {
    /// What was published.
    pub(crate) published: &'a Published,
    /// Whether the epoch begins with a contradiction; asked once for each epoch.
    pub(crate) is_contradicted: bool,
    /// Whether the epoch is the one before under a new number, since the process was frozen.
    pub(crate) is_thaw: bool,
    /// How many freezes of the process the machine knows of.
    pub(crate) freezes: u64,
    /// The trip that was shown to the machine in this turn.
    pub(crate) trip: Option<Box<Trip>>,
}

/// What the actor learns of the counting after a turn.
#[derive(Default)]
pub(crate) struct Followed {
    /// To be signalled once no write is outstanding.
    pub(crate) settles: Vec<Settle>,
    /// Whether anything stands that a new actor would not know of.
    pub(crate) stands: bool,
    /// How many failures were counted until then.
    pub(crate) failures: u64,
}

impl Counted {
    fn new(config: &Config, epoch: u64) -> Box<Self> {
        let (failures, successes) = (config.failure_threshold(), config.success_threshold());
        let counting = Counting::new(failures.get(), successes.get());
        let tally = Tally { counting, failures: 0, under_way: Vec::new() };
        Box::new(Self { slots: Slots::new(epoch), tally: Mutex::new(tally) })
    }

    /// No user code runs under the lock, but for a clock: what it guards is whole.
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many good calls of the epoch that is counted have ended.
    fn place(&self, counting: &Counting) -> u64 {
        self.slots.place(counting.epoch())
    }

    fn forget_past(&self, counting: &mut Counting, gate: &Gate) {
        counting.forget_past(self.place(counting));
        gate.show_counting(counting.stands(), counting.is_failing());
    }
}

impl Tally {
    /// Takes the trips of epochs before this one.
    fn take_before(&mut self, epoch: u64) -> Vec<Settle> {
        let over = self.under_way.extract_if(.., |trip| trip.epoch < epoch);
        over.map(|trip| trip.settle).collect()
    }
}

impl Circuit {
    /// Reports the end of a call. Only outcomes that may lead to a write are
    /// ever waited for.
    #[inline]
    pub(crate) fn report(&self, pass: CallId, report: CallEnd) -> Outstanding {
        if self.gate.is_silent(pass, report) { None } else { self.report_aloud(pass, report) }
    }

    #[inline(never)]
    fn report_aloud(&self, pass: CallId, report: CallEnd) -> Outstanding {
        match (pass.probe, report) {
            (Some(_), _) => self.report_probe(pass, report),
            (None, CallEnd::Failure) => self.count_failure(pass.epoch),
            (None, CallEnd::Success) => {
                // If nothing is there yet, the first failure is counted beside this call.
                if let Some(counted) = self.counted.get() {
                    counted.slots.count_good(pass.epoch);
                }
                None
            }
            (None, CallEnd::Ignored | CallEnd::Dropped) => None,
        }
    }

    /// Counts a failure of a call that was admitted in this epoch. The answer is for
    /// the failure that trips the circuit, and for those that find the trip under way.
    fn count_failure(&self, epoch: u64) -> Outstanding {
        if self.mailbox.is_disconnected() {
            self.pending.ending.found_by(&self.name);
            return None;
        }
        if self.is_cut_off() {
            // The actor begins an epoch that this call is not of. It has a turn to come if
            // its mailbox is full.
            let _ = self.mailbox.try_send(Message::Wake);
            return None;
        }
        let (callers, is_first) = self.count(self.counted_from(epoch), epoch)?;
        // A full mailbox has the actor at work already, and it looks for a trip after
        // each batch. Those who find the trip have no one to wake.
        if is_first
            && let Err(flume::TrySendError::Disconnected(_)) = self.mailbox.try_send(Message::Wake)
        {
            self.end_counting();
        }
        Some(self.awaited(Settled::Tripped(callers)))
    }

    /// Counts a failure; also says whether it is the first that waits for its trip.
    fn count(&self, counted: &Counted, epoch: u64) -> Option<(Arc<Pending>, bool)> {
        let mut tally = counted.tally();
        let Tally { counting, failures, under_way } = &mut *tally;
        if epoch < counting.epoch() {
            // What ended that epoch was published before the next one began here.
            return None;
        }
        if epoch > counting.epoch() {
            // Published, and the actor has yet to come here: it says then whether
            // others contradict this process.
            counting.start_epoch(epoch, counted.place(counting), false);
        }
        *failures = failures.wrapping_add(1);
        // Stamped under the lock, so that stamps never fall.
        counting.failure(counted.place(counting), self.clock.now());
        self.gate.show_counting(counting.stands(), counting.is_failing());
        counting.trip()?;
        if let Some(trip) = under_way.iter().find(|trip| trip.epoch == epoch) {
            return Some((Arc::clone(&trip.callers), false));
        }
        let callers = Arc::<Pending>::default();
        let settle = Settle::of_trip(self.pending.start(), callers.start());
        under_way.push(UnderWay { epoch, callers: Arc::clone(&callers), settle });
        Some((callers, true))
    }

    /// Whether the process was frozen since the epoch began that calls are admitted in, or
    /// the actor has yet to begin the next one. Failures are no evidence then: their calls
    /// may have been cut off.
    ///
    /// Acquired: whoever sees the newest freeze sees that the counting is in the epoch that
    /// came after it.
    fn is_cut_off(&self) -> bool {
        self.clock.freezes(self.clock.now()) != self.freezes.load(Ordering::Acquire)
    }

    /// Whether the machine was told of so many freezes, and what came of it published.
    pub(crate) fn knows_freezes(&self, freezes: u64) -> bool {
        self.freezes.load(Ordering::Relaxed) == freezes
    }

    /// What is counted, which begins with this epoch if nothing was before.
    fn counted_from(&self, epoch: u64) -> &Counted {
        self.counted.get_or_init(|| Counted::new(&self.config, epoch))
    }

    /// The trip that was found and that the actor has not ended yet.
    pub(crate) fn trip(&self) -> Option<Box<Trip>> {
        let found = self.counted.get()?.tally().counting.trip().cloned();
        found.map(Box::new)
    }

    /// Whether two or more failures in a row stand now.
    pub(crate) fn check_is_failing(&self) -> bool {
        self.counted.get().is_some_and(|counted| {
            let counting = &mut counted.tally().counting;
            counted.forget_past(counting, &self.gate);
            counting.is_failing()
        })
    }

    /// The counting follows what was published. Called by the actor alone, after each
    /// turn, which makes each turn the one that forgets what good calls have ended.
    pub(crate) fn follow(&self, turn: &Turn<'_>) -> Followed {
        let followed = self.follow_epoch(turn);
        self.freezes.store(turn.freezes, Ordering::Release);
        followed
    }

    fn follow_epoch(&self, turn: &Turn<'_>) -> Followed {
        let epoch = turn.published.epoch;
        // Of a process that is contradicted good calls count before any failure.
        let counted =
            if turn.is_contradicted { Some(self.counted_from(epoch)) } else { self.known_count() };
        let Some(counted) = counted else {
            return Followed::default();
        };
        let mut tally = counted.tally();
        let counting = &mut tally.counting;
        if turn.is_thaw {
            counting.renumber(epoch, counted.place(counting));
        }
        counting.start_epoch(epoch, counted.place(counting), turn.is_contradicted);
        // Refused in its own epoch: what comes next is counted from none on. A trip that
        // was found since is still to be shown to the machine.
        let is_refused = turn.trip.as_ref().is_some_and(|trip| trip.epoch == epoch);
        if is_refused {
            counting.restart();
        }
        counted.forget_past(counting, &self.gate);
        self.gate.restore_quiet(turn.published);
        let stands = counting.stands();
        let settles = tally.take_before(epoch.saturating_add(u64::from(is_refused)));
        Followed { settles, stands, failures: tally.failures }
    }

    fn known_count(&self) -> Option<&Counted> {
        self.counted.get().map(|counted| &**counted)
    }

    /// How many failures were counted until now.
    pub(crate) fn failures(&self) -> u64 {
        self.counted.get().map_or(0, |counted| counted.tally().failures)
    }

    /// Nobody is left to take what was counted, or what lies at the gate.
    pub(crate) fn end_counting(&self) {
        if self.gate.take_probe_report().is_some() {
            drop(self.pending.resume());
        }
        if let Some(counted) = self.counted.get() {
            let mut tally = counted.tally();
            self.gate.show_counting(false, false);
            let ended = std::mem::take(&mut tally.under_way);
            // Not under the lock: callers are woken by this.
            drop(tally);
            drop(ended);
        }
    }

    fn report_probe(&self, pass: CallId, report: CallEnd) -> Outstanding {
        // The right to probe stays for the next call.
        let is_cut_off = report == CallEnd::Failure && self.is_cut_off();
        let report = if is_cut_off { CallEnd::Ignored } else { report };
        if let Some(counted) = self.counted.get()
            && matches!(report, CallEnd::Success | CallEnd::Failure)
        {
            let mut tally = counted.tally();
            let place = counted.place(&tally.counting);
            tally.counting.probe(place, report == CallEnd::Success);
        }
        let (done, settled) = oneshot::channel();
        let settle = Settle::of_probe(self.pending.start(), done);
        let at = self.clock.now();
        let message = Message::Outcome { at, pass, report, settle: Some(settle) };
        match self.mailbox.try_send(message) {
            Ok(()) => Some(self.awaited(Settled::Answered(settled))),
            Err(flume::TrySendError::Disconnected(_)) => {
                self.pending.ending.found_by(&self.name);
                None
            }
            Err(flume::TrySendError::Full(_)) => {
                self.leave_at_the_gate(pass, report);
                Some(self.awaited(Settled::Idle(Arc::clone(&self.pending))))
            }
        }
    }

    /// Nothing is lost, and nothing grows. What lies at the gate counts as one
    /// pending outcome, begun before it can be taken.
    fn leave_at_the_gate(&self, pass: CallId, report: CallEnd) {
        let pending = self.pending.start();
        if pass.probe.is_some_and(|probe| self.gate.note_probe(probe, report)) {
            pending.keep();
        }
        // In case the actor emptied its mailbox in between and went to sleep.
        if let Err(flume::TrySendError::Disconnected(_)) = self.mailbox.try_send(Message::Wake) {
            self.end_counting();
        }
    }

    fn awaited(&self, settled: Settled) -> Box<Awaited> {
        let limit = self.config.store_timeout();
        Box::new(Awaited { settled, limit, clock: self.clock.clone(), turns: self.turns() })
    }
}

#[cfg(test)]
mod tests;
