//! Whether the store can be reached, as all circuits of a process have found.
//!
//! A store that hangs would otherwise cost each circuit a wait of its own. Once
//! one has found no answer, closed circuits do not look at it for a while either;
//! once two circuits have, or one has twice, it is out for all: nobody asks it
//! during the back-off. After it one operation at a time tries. What the store *answers*, be
//! it a refusal of one circuit's item, shows that it can be reached, and concerns
//! that circuit alone. Where one circuit alone has found no answer, another may
//! look for itself during the back-off: it may be that one's item.
//!
//! A store that takes long to refuse costs a caller as much as one that hangs: after such
//! a refusal of a read, closed circuits do not look at it for a while either.
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

/// When to ask again while another operation tries the store.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// From when on a refusal is slow: who calls one circuit after the other would feel it.
const SLOW: Duration = Duration::from_millis(100);

/// For how long reads that can wait are spared after a slow refusal, at first and at most.
const FIRST_SPARING: Duration = Duration::from_secs(1);
const LONGEST_SPARING: Duration = Duration::from_secs(30);

/// What the circuits of one process know of their store.
pub(crate) struct Reachability(Mutex<State>);

struct State {
    health: Health,
    /// The operation that tries a store that was out, and how long it may take.
    attempt: Option<(Moment, Duration)>,
    /// Who found no answer since there was one.
    witness: FailedCircuit,
    /// What was told to be misconfigured, and has not been done since.
    told: Told,
    /// Reads that were refused slowly, since one was done.
    slow: Option<SlowRefusals>,
    entropy: Box<dyn Entropy>,
}

/// Refusals in a row that took long.
#[derive(Clone, Copy, Debug)]
struct SlowRefusals {
    /// When the last of them ended.
    since: Moment,
    /// For how long reads that can wait are spared.
    sparing: Duration,
}

impl SlowRefusals {
    fn left(self, now: Moment) -> Duration {
        self.sparing.saturating_sub(now.since(self.since))
    }

    /// Whether the next slow refusal is one more of these, and not the first of others.
    fn is_recent(self, now: Moment) -> bool {
        now.since(self.since) < self.sparing.saturating_add(LONGEST_SPARING)
    }
}

/// Reads and writes that were told to be misconfigured: apart, since one may be
/// permitted and not the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    reads: bool,
    writes: bool,
}

/// Which circuits found no answer since there was one.
#[derive(Debug, PartialEq, Eq)]
enum FailedCircuit {
    Nobody,
    One(CircuitName),
    Several,
}

impl Reachability {
    pub(crate) fn new(entropy: Box<dyn Entropy>) -> Self {
        Self(Mutex::new(State {
            health: Health::default(),
            attempt: None,
            witness: FailedCircuit::Nobody,
            told: Told::default(),
            slow: None,
            entropy,
        }))
    }

    /// Asks for leave to begin an operation that ends within `limit`. One that is
    /// not urgent only serves a closed circuit's view of others.
    ///
    /// # Errors
    ///
    /// For how long the store is to be left alone, and why.
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
        // A single failure may be anything, and keeps nothing that matters.
        let is_outage = state.health.is_outage() || state.witness == FailedCircuit::Several;
        let sparing = state.slow.map_or(Duration::ZERO, |slow| slow.left(now));
        if !is_urgent && !is_outage && sparing > Duration::ZERO {
            return Err(BackedOff { wait: sparing, is_outage });
        }
        if !state.health.is_doubtful(access) || (is_urgent && !is_outage) {
            return Ok(());
        }
        let wait = state.health.wait(access, now);
        let may_check_for_itself =
            is_outage && matches!(&state.witness, FailedCircuit::One(only) if only != circuit);
        if wait > Duration::ZERO && !may_check_for_itself {
            return Err(BackedOff { wait, is_outage });
        }
        // One whose actor was ended, or that was frozen, ends with its limit.
        let left =
            state.attempt.map(|(since, its)| its.min(limit).saturating_sub(now.since(since)));
        match left.filter(|left| *left > Duration::ZERO) {
            Some(left) => Err(BackedOff { wait: left.min(ATTEMPT_PAUSE), is_outage }),
            None => {
                state.attempt = Some((now, limit));
                Ok(())
            }
        }
    }

    /// The store has answered, whatever it said.
    pub(crate) fn answered(&self, access: Access) {
        let mut state = self.state();
        state.health.succeed(access);
        // A read that is answered says nothing of writes that are not.
        if !state.health.writes_fail() {
            state.attempt = None;
            state.witness = FailedCircuit::Nobody;
        }
    }

    /// The store has refused an operation that was begun and answered then. That it did is
    /// an answer; what it costs others who ask is known if it took long.
    pub(crate) fn refused(&self, access: Access, begun_at: Moment, ended_at: Moment) {
        self.answered(access);
        let took = ended_at.mono().saturating_sub(begun_at.mono());
        if access == Access::Write || took <= SLOW {
            return;
        }
        let mut state = self.state();
        let before = state.slow.filter(|slow| slow.is_recent(ended_at));
        // Operations that were under way together are refused together: once.
        if before.is_some_and(|slow| begun_at.mono() < slow.since.mono()) {
            return;
        }
        let sparing = before
            .map_or(FIRST_SPARING, |slow| slow.sparing.saturating_mul(2).min(LONGEST_SPARING));
        state.slow = Some(SlowRefusals { since: ended_at, sparing });
    }

    /// There was no answer to an operation that was begun and given up then.
    pub(crate) fn failed(
        &self,
        circuit: &CircuitName,
        access: Access,
        kind: StoreErrorKind,
        begun_at: Moment,
        ended_at: Moment,
    ) {
        let mut state = self.state();
        state.forget_old(begun_at);
        let spread = state.entropy.jitter();
        // Throttling is no failure of the store, and is not told here.
        let longest_throttling = Duration::ZERO;
        let failure = Failure { access, kind, begun_at, ended_at, spread, longest_throttling };
        state.health.fail(failure);
        state.attempt = None;
        state.witness = match std::mem::replace(&mut state.witness, FailedCircuit::Several) {
            FailedCircuit::Nobody => FailedCircuit::One(circuit.clone()),
            FailedCircuit::One(only) if only == *circuit => FailedCircuit::One(only),
            FailedCircuit::One(_) | FailedCircuit::Several => FailedCircuit::Several,
        };
    }

    /// Whether a misconfiguration is news: it is told once for all circuits,
    /// until the store has done the same, a read or a write, for one of them.
    /// The gauge is set each time, lest a recorder forget it for being idle.
    pub(crate) fn should_log(&self, access: Access) -> bool {
        let was_told = std::mem::replace(self.state().told.of(access), true);
        self.show();
        !was_told
    }

    /// The store has done what it was asked.
    pub(crate) fn works(&self, access: Access) {
        let was_told = {
            let mut state = self.state();
            state.slow.take_if(|_| access == Access::Read);
            std::mem::take(state.told.of(access))
        };
        if was_told {
            self.show();
        }
    }

    /// Shows whether the store is misconfigured: again while that has changed
    /// meanwhile, so that of two who show it at once the older is not the last.
    fn show(&self) {
        let mut told = self.state().told;
        loop {
            metrics::store_misconfigured(told.is_any());
            let shown = std::mem::replace(&mut told, self.state().told);
            if shown == told {
                return;
            }
        }
    }

    /// No code of users runs under the lock, and each change leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
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
            self.witness = FailedCircuit::Nobody;
        }
    }
}

/// Nobody asks this store any more: what is known of it is no alarm.
impl Drop for Reachability {
    fn drop(&mut self) {
        if self.state().told.is_any() {
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
