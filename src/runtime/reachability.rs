//! The back-off that all circuits of a process share. Without it a store that hangs would cost
//! the callers of each circuit a wait of their own.
//!
//! Urgent operations are those that a call or a lease depends on; the others only refresh the
//! view of a closed circuit. While no answer has come since these operations failed:
//!
//! | no answer to | reads that can wait | urgent operations |
//! |---|---|---|
//! | one operation | backed off | allowed: one failure may be anything |
//! | two operations of one circuit | backed off, for that circuit | backed off, for that circuit |
//! | operations of two circuits | backed off | backed off: the store is out |
//!
//! In the second row another circuit may check for itself: the failing circuit's item may be the
//! cause. After a back-off one operation at a time tries the store.
//!
//! An *answer*, even the refusal of a circuit's item, shows that the store can be reached, and
//! concerns that circuit alone. But a refusal that takes long costs a caller as much as a store
//! that hangs: after a slow refusal of a read, reads that can wait are deferred.
//!
//! The lock is held for a few comparisons, around store operations only.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    name::CircuitName,
    protocol::answer::StoreErrorKind,
    protocol::health::{Access, BackedOff, Failure, Health},
    protocol::machine::Entropy,
    protocol::moment::Moment,
    runtime::metrics,
};

/// The back-off while another operation tries the store.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// A refusal that takes longer is slow: a handler that calls several circuits one after the other
/// would wait for each.
const SLOW: Duration = Duration::from_millis(100);

/// The shortest and the longest time for which a slow refusal defers reads that can wait.
const FIRST_DEFERRAL: Duration = Duration::from_secs(1);
const LONGEST_DEFERRAL: Duration = Duration::from_secs(30);

/// The failures of a store, over all circuits of a process.
pub(crate) struct Reachability(Mutex<State>);

struct State {
    health: Health,
    /// The begin and the limit of the operation that tries a store that was out.
    attempt: Option<(Moment, Duration)>,
    /// The circuits whose operations had no answer since the last answer.
    failed_circuits: FailedCircuits,
    /// The misconfigurations that were logged and are not mended.
    logged: Logged,
    /// Slow refusals of reads since the last read that succeeded.
    slow: Option<SlowRefusals>,
    entropy: Box<dyn Entropy>,
}

/// Slow refusals in a row.
#[derive(Clone, Copy, Debug)]
struct SlowRefusals {
    /// The end of the last of them.
    since: Moment,
    /// The time for which reads that can wait are deferred.
    deferral: Duration,
}

impl SlowRefusals {
    fn remaining(self, now: Moment) -> Duration {
        self.deferral.saturating_sub(now.since(self.since))
    }

    /// Returns `true` if a slow refusal at `now` is in a row with these.
    fn is_recent(self, now: Moment) -> bool {
        now.since(self.since) < self.deferral.saturating_add(LONGEST_DEFERRAL)
    }
}

/// True for the kinds of operations whose misconfiguration was logged. Apart, since a role may be
/// permitted to read and not to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Logged {
    reads: bool,
    writes: bool,
}

/// The circuits whose operations had no answer since the last answer.
#[derive(Debug, PartialEq, Eq)]
enum FailedCircuits {
    Nobody,
    One(CircuitName),
    Several,
}

impl Reachability {
    pub(crate) fn new(entropy: Box<dyn Entropy>) -> Self {
        Self(Mutex::new(State {
            health: Health::default(),
            attempt: None,
            failed_circuits: FailedCircuits::Nobody,
            logged: Logged::default(),
            slow: None,
            entropy,
        }))
    }

    /// Asks whether an operation that ends within `limit` may begin.
    ///
    /// # Errors
    ///
    /// [`BackedOff`]: the operation may not begin now.
    pub(crate) fn ask(
        &self,
        circuit: &CircuitName,
        access: Access,
        is_urgent: bool,
        now: Moment,
        limit: Duration,
    ) -> Result<(), BackedOff> {
        let mut state = self.state();
        state.forget_old(now);
        // A single failure may be a lost packet: it must not keep an urgent operation away.
        let is_outage =
            state.health.is_outage() || state.failed_circuits == FailedCircuits::Several;
        // In an outage the back-off below decides, and may let one operation try the store.
        let deferral = state.slow.map_or(Duration::ZERO, |slow| slow.remaining(now));
        if !is_urgent && !is_outage && deferral > Duration::ZERO {
            return Err(BackedOff { wait: deferral, is_outage });
        }
        if !state.health.is_doubtful(access) || (is_urgent && !is_outage) {
            return Ok(());
        }
        let wait = state.health.wait(access, now);
        // Without this the item of one circuit, on a partition that does not answer, would keep
        // all circuits from a store that works.
        let may_check_for_itself = is_outage
            && matches!(&state.failed_circuits, FailedCircuits::One(only) if only != circuit);
        if wait > Duration::ZERO && !may_check_for_itself {
            return Err(BackedOff { wait, is_outage });
        }
        // One operation at a time tries the store; the others wait in short steps. An attempt
        // ends with its limit, since its actor may have been dropped without a report. The
        // asker's own limit bounds it too: a circuit with a `store_timeout` of 1 s must not wait
        // for another's of 60 s.
        let remaining =
            state.attempt.map(|(since, its)| its.min(limit).saturating_sub(now.since(since)));
        match remaining.filter(|remaining| *remaining > Duration::ZERO) {
            Some(remaining) => Err(BackedOff { wait: remaining.min(ATTEMPT_PAUSE), is_outage }),
            None => {
                state.attempt = Some((now, limit));
                Ok(())
            }
        }
    }

    /// Takes any answer of the store, even a refusal.
    pub(crate) fn answered(&self, access: Access) {
        let mut state = self.state();
        state.health.succeed(access);
        // While writes fail, a read that is answered shows nothing about them.
        if !state.health.writes_fail() {
            state.attempt = None;
            state.failed_circuits = FailedCircuits::Nobody;
        }
    }

    /// Takes a refusal of the store. It is an answer; if it took long, it defers reads that can
    /// wait.
    pub(crate) fn refused(&self, access: Access, begun_at: Moment, ended_at: Moment) {
        self.answered(access);
        // A refused write costs no caller a wait before its call.
        let took = ended_at.mono().saturating_sub(begun_at.mono());
        if access == Access::Write || took <= SLOW {
            return;
        }
        let mut state = self.state();
        let before = state.slow.filter(|slow| slow.is_recent(ended_at));
        // Operations that were under way together count once, or ten slow refusals at a time
        // would defer reads for 30 s.
        if before.is_some_and(|slow| begun_at.mono() < slow.since.mono()) {
            return;
        }
        let deferral = before
            .map_or(FIRST_DEFERRAL, |slow| slow.deferral.saturating_mul(2).min(LONGEST_DEFERRAL));
        state.slow = Some(SlowRefusals { since: ended_at, deferral });
    }

    /// Takes a failure: the operation had no answer.
    pub(crate) fn failed(
        &self,
        circuit: &CircuitName,
        access: Access,
        kind: StoreErrorKind,
        begun_at: Moment,
        ended_at: Moment,
    ) {
        let mut state = self.state();
        // By its begin: an operation that hung for long is in a row with the one before it.
        state.forget_old(begun_at);
        let jitter = state.entropy.jitter();
        // Not used: throttling is an answer, and never reported here.
        let longest_throttling = Duration::ZERO;
        let failure = Failure { access, kind, begun_at, ended_at, jitter, longest_throttling };
        state.health.fail(failure);
        // The attempt has failed. The new back-off applies at once, not after the attempt's limit.
        state.attempt = None;
        state.failed_circuits =
            match std::mem::replace(&mut state.failed_circuits, FailedCircuits::Several) {
                FailedCircuits::Nobody => FailedCircuits::One(circuit.clone()),
                FailedCircuits::One(only) if only == *circuit => FailedCircuits::One(only),
                FailedCircuits::One(_) | FailedCircuits::Several => FailedCircuits::Several,
            };
    }

    /// Returns `true` if a misconfiguration should be logged as an error: once for all circuits,
    /// until an operation of the same kind succeeds for one of them. The gauge is set each
    /// time, since a recorder may drop one that is idle.
    pub(crate) fn should_log(&self, access: Access) -> bool {
        let was_logged = std::mem::replace(self.state().logged.of(access), true);
        self.show();
        !was_logged
    }

    /// Takes a success of the store: ends the misconfiguration and, for a read, slow refusals.
    pub(crate) fn works(&self, access: Access) {
        let was_logged = {
            let mut state = self.state();
            // Only a read: a write that succeeds does not show that reads are quick again.
            state.slow.take_if(|_| access == Access::Read);
            std::mem::take(state.logged.of(access))
        };
        if was_logged {
            self.show();
        }
    }

    /// Shows on the gauge if the store is misconfigured. The recorder is not our code, so it is
    /// called outside the lock, and again if the state changed in the meantime: otherwise, of
    /// two threads that show it at once, the one with the older state could be the last.
    fn show(&self) {
        let mut logged = self.state().logged;
        loop {
            metrics::store_misconfigured(logged.is_any());
            let shown = std::mem::replace(&mut logged, self.state().logged);
            if shown == logged {
                return;
            }
        }
    }

    /// Locks the state. No user code runs under the lock, so a poisoned state is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logged {
    const fn of(&mut self, access: Access) -> &mut bool {
        match access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        }
    }

    const fn is_any(self) -> bool {
        self.reads || self.writes
    }
}

impl State {
    fn forget_old(&mut self, now: Moment) {
        self.health.forget_old(now);
        if !self.health.is_doubtful(Access::Write) && !self.health.writes_fail() {
            self.failed_circuits = FailedCircuits::Nobody;
        }
    }
}

/// Clears the gauge: a registry that has ended must not leave an alarm behind.
impl Drop for Reachability {
    fn drop(&mut self) {
        if self.state().logged.is_any() {
            metrics::store_misconfigured(false);
        }
    }
}

impl fmt::Debug for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reachability").field("health", &self.state().health).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
