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
//! The lock is held for a few comparisons, around store operations only.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    answer::StoreErrorKind,
    health::{Access, Failure, Health, Withheld},
    machine::Chance,
    metrics,
    moment::Moment,
    name::CircuitName,
};

/// When to ask again while another operation tries the store.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// What the circuits of one process know of their store.
pub(crate) struct Reachability(Mutex<State>);

struct State {
    health: Health,
    /// The operation that tries a store that was out, and how long it may take.
    attempt: Option<(Moment, Duration)>,
    /// Who found no answer since there was one.
    witness: Witness,
    /// What was told to be misconfigured, and has not been done since.
    told: Told,
    chance: Box<dyn Chance>,
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
enum Witness {
    Nobody,
    One(CircuitName),
    Several,
}

impl Reachability {
    pub(crate) fn new(chance: Box<dyn Chance>) -> Self {
        let (health, witness) = (Health::default(), Witness::Nobody);
        Self(Mutex::new(State { health, attempt: None, witness, told: Told::default(), chance }))
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
    ) -> Result<(), Withheld> {
        let mut state = self.state();
        state.forget_old(now);
        // A single failure may be anything, and keeps nothing that matters.
        let is_outage = state.health.is_outage() || state.witness == Witness::Several;
        if !state.health.is_doubtful(access) || (is_urgent && !is_outage) {
            return Ok(());
        }
        let wait = state.health.wait(access, now);
        let second_sight =
            is_outage && matches!(&state.witness, Witness::One(only) if only != circuit);
        if wait > Duration::ZERO && !second_sight {
            return Err(Withheld { wait, is_outage });
        }
        // One whose actor was ended, or that was frozen, ends with its limit.
        let left =
            state.attempt.map(|(since, its)| its.min(limit).saturating_sub(now.since(since)));
        match left.filter(|left| *left > Duration::ZERO) {
            Some(left) => Err(Withheld { wait: left.min(ATTEMPT_PAUSE), is_outage }),
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
            state.witness = Witness::Nobody;
        }
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
        let spread = state.chance.spread();
        // Throttling is no failure of the store, and is not told here.
        let longest_throttling = Duration::ZERO;
        let failure = Failure { access, kind, begun_at, ended_at, spread, longest_throttling };
        state.health.fail(failure);
        state.attempt = None;
        state.witness = match std::mem::replace(&mut state.witness, Witness::Several) {
            Witness::Nobody => Witness::One(circuit.clone()),
            Witness::One(only) if only == *circuit => Witness::One(only),
            Witness::One(_) | Witness::Several => Witness::Several,
        };
    }

    /// Whether a misconfiguration is news: it is told once for all circuits,
    /// until the store has done the same, a read or a write, for one of them.
    /// The gauge is set each time, lest a recorder forget it for being idle.
    pub(crate) fn is_news(&self, access: Access) -> bool {
        let was_told = std::mem::replace(self.state().told.of(access), true);
        self.show();
        !was_told
    }

    /// The store has done what it was asked.
    pub(crate) fn works(&self, access: Access) {
        if std::mem::take(self.state().told.of(access)) {
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
            self.witness = Witness::Nobody;
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
mod tests {
    use super::*;
    use crate::record::LeaseToken;

    const LIMIT: Duration = Duration::from_secs(1);

    struct NoChance;

    impl Chance for NoChance {
        fn token(&mut self) -> LeaseToken {
            LeaseToken::new("token")
        }

        fn spread(&mut self) -> u8 {
            0
        }
    }

    fn at(millis: u64) -> Moment {
        let since = Duration::from_millis(millis);
        Moment::new(since, since, 0)
    }

    fn ask(
        reach: &Reachability,
        circuit: &str,
        access: Access,
        now: Moment,
    ) -> Result<(), Withheld> {
        reach.ask(&CircuitName::new(circuit).unwrap(), access, access == Access::Write, now, LIMIT)
    }

    /// Asks for a read that nothing depends on, with a limit in seconds.
    fn ask_within(
        reach: &Reachability,
        circuit: &str,
        now: Moment,
        limit: u64,
    ) -> Result<(), Withheld> {
        let circuit = CircuitName::new(circuit).unwrap();
        reach.ask(&circuit, Access::Read, false, now, Duration::from_secs(limit))
    }

    fn fail(reach: &Reachability, circuit: &str, access: Access, begun: Moment, ended: Moment) {
        let circuit = CircuitName::new(circuit).unwrap();
        reach.failed(&circuit, access, StoreErrorKind::Timeout, begun, ended);
    }

    fn later(millis: u64) -> Result<(), Withheld> {
        Err(Withheld { wait: Duration::from_millis(millis), is_outage: true })
    }

    /// Two circuits were not answered.
    fn out_at_one_second() -> Reachability {
        let reach = Reachability::new(Box::new(NoChance));
        for circuit in ["a", "b"] {
            assert_eq!(ask(&reach, circuit, Access::Read, at(0)), Ok(()));
        }
        fail(&reach, "a", Access::Read, at(0), at(1_000));
        fail(&reach, "b", Access::Read, at(0), at(1_000));
        reach
    }

    #[test]
    fn all_operations_wait_for_a_back_off_and_one_tries() {
        let reach = out_at_one_second();
        assert_eq!(ask(&reach, "a", Access::Write, at(1_001)), later(999));
        assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
        assert_eq!(ask(&reach, "b", Access::Read, at(2_300)), later(100));
        assert_eq!(ask(&reach, "b", Access::Write, at(2_950)), later(50));
        reach.answered(Access::Read);
        assert_eq!(ask(&reach, "b", Access::Read, at(2_951)), Ok(()));
        assert_eq!(ask(&reach, "b", Access::Write, at(2_951)), Ok(()));
    }

    #[test]
    fn after_a_single_failure_nothing_that_matters_is_kept_from_the_store() {
        let reach = Reachability::new(Box::new(NoChance));
        fail(&reach, "a", Access::Write, at(0), at(1_000));
        let wait = Duration::from_millis(500);
        let withheld = Err(Withheld { wait, is_outage: false });
        assert_eq!(ask(&reach, "b", Access::Read, at(1_500)), withheld);
        for circuit in ["a", "b"] {
            assert_eq!(ask(&reach, circuit, Access::Write, at(1_500)), Ok(()));
        }
        let read = |circuit, is_urgent| {
            let circuit = CircuitName::new(circuit).unwrap();
            reach.ask(&circuit, Access::Read, is_urgent, at(2_000), LIMIT)
        };
        assert_eq!(read("a", false), Ok(()));
        assert!(read("b", false).is_err(), "one tries, where nothing depends on it");
        assert_eq!(read("b", true), Ok(()));
    }

    #[test]
    fn an_attempt_that_never_ends_does_not_keep_others_for_ever() {
        let reach = out_at_one_second();
        assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
        assert_eq!(ask(&reach, "b", Access::Read, at(3_000)), Ok(()));
    }

    #[test]
    fn an_attempt_keeps_others_for_its_limit_and_for_no_longer_than_theirs() {
        for (its, others) in [(1, 5), (5, 1)] {
            let reach = out_at_one_second();
            assert_eq!(ask_within(&reach, "a", at(2_000), its), Ok(()));
            assert_eq!(ask_within(&reach, "b", at(2_950), others), later(50));
            assert_eq!(ask_within(&reach, "b", at(3_000), others), Ok(()));
        }
    }

    #[test]
    fn an_attempt_that_fails_leaves_the_store_alone_for_longer() {
        let reach = out_at_one_second();
        assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
        fail(&reach, "a", Access::Read, at(2_000), at(3_000));
        assert_eq!(ask(&reach, "b", Access::Read, at(3_000)), later(2_000));
    }

    #[test]
    fn an_attempt_that_fails_early_keeps_nobody_for_the_rest_of_its_limit() {
        let reach = out_at_one_second();
        assert_eq!(ask_within(&reach, "a", at(2_000), 5), Ok(()));
        fail(&reach, "a", Access::Read, at(2_000), at(2_010));
        assert_eq!(ask_within(&reach, "b", at(4_009), 5), later(1));
        assert_eq!(ask_within(&reach, "b", at(4_010), 5), Ok(()));
    }

    #[test]
    fn a_write_that_is_answered_lets_others_read() {
        let reach = out_at_one_second();
        assert_eq!(ask(&reach, "a", Access::Write, at(2_000)), Ok(()));
        reach.answered(Access::Write);
        assert_eq!(ask(&reach, "b", Access::Read, at(2_001)), Ok(()));
        // What several found before is past: nothing that matters is kept.
        for circuit in ["c", "d"] {
            let circuit = CircuitName::new(circuit).unwrap();
            assert_eq!(reach.ask(&circuit, Access::Read, true, at(2_002), LIMIT), Ok(()));
        }
    }

    #[test]
    fn writes_of_one_circuit_that_fail_keep_no_other_from_writing() {
        let reach = Reachability::new(Box::new(NoChance));
        fail(&reach, "a", Access::Write, at(0), at(1_000));
        reach.answered(Access::Read);
        fail(&reach, "a", Access::Write, at(2_000), at(3_000));
        reach.answered(Access::Read);
        assert!(ask(&reach, "a", Access::Write, at(3_100)).is_err());
        assert_eq!(ask(&reach, "b", Access::Write, at(3_100)), Ok(()));
        assert!(ask(&reach, "c", Access::Write, at(3_200)).is_err(), "one at a time");
        assert_eq!(ask(&reach, "c", Access::Read, at(3_200)), Ok(()));
    }

    #[test]
    fn a_failure_today_is_no_outage_for_those_of_yesterday() {
        let reach = out_at_one_second();
        let today = 86_400_000;
        fail(&reach, "a", Access::Write, at(today), at(today + 1_000));
        assert_eq!(ask(&reach, "b", Access::Write, at(today + 1_001)), Ok(()));
    }

    #[test]
    fn an_outage_of_long_ago_keeps_nobody() {
        let reach = out_at_one_second();
        assert_eq!(ask(&reach, "a", Access::Read, at(40_000)), Ok(()));
        assert_eq!(ask(&reach, "b", Access::Read, at(40_000)), Ok(()));
    }

    #[test]
    fn a_misconfiguration_is_told_once() {
        let reach = Reachability::new(Box::new(NoChance));
        assert!(reach.is_news(Access::Read) && !reach.is_news(Access::Read));
        reach.works(Access::Read);
        assert!(reach.is_news(Access::Read));
    }

    #[test]
    fn reads_that_work_do_not_make_refused_writes_news_again() {
        let reach = Reachability::new(Box::new(NoChance));
        assert!(reach.is_news(Access::Write));
        reach.works(Access::Read);
        assert!(!reach.is_news(Access::Write));
        reach.works(Access::Write);
        assert!(reach.is_news(Access::Write));
    }

    #[test]
    fn what_one_circuit_found_twice_another_may_see_for_itself() {
        let reach = Reachability::new(Box::new(NoChance));
        fail(&reach, "a", Access::Read, at(0), at(1_000));
        assert!(ask(&reach, "b", Access::Read, at(1_500)).is_err(), "once is enough for a while");
        assert_eq!(ask(&reach, "a", Access::Read, at(2_000)), Ok(()));
        fail(&reach, "a", Access::Read, at(2_000), at(3_000));
        assert!(ask(&reach, "a", Access::Read, at(3_100)).is_err());
        assert_eq!(ask(&reach, "b", Access::Read, at(3_100)), Ok(()));
        assert!(ask(&reach, "c", Access::Read, at(3_200)).is_err(), "one at a time");
        fail(&reach, "b", Access::Read, at(3_100), at(4_100));
        assert!(ask(&reach, "c", Access::Read, at(4_200)).is_err(), "it is the store");
        assert_eq!(ask(&reach, "c", Access::Read, at(9_000)), Ok(()));
        reach.answered(Access::Read);
        assert_eq!(ask(&reach, "b", Access::Read, at(9_000)), Ok(()));
    }
}
