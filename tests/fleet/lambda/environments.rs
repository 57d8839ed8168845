//! The platform: which environment a call is given to, and what becomes of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, CallError};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Plan, Trouble,
    freezing::Running,
    store::{Client, Table},
};
use crate::SECOND;

const START: Duration = Duration::from_millis(1_000_000_300);
/// How long a healthy call takes.
const CALL: Duration = Duration::from_millis(200);
/// How long a call takes that is refused.
const REFUSED: Duration = Duration::from_millis(5);

/// The platform ends an environment that was idle for this long, or is this old.
const IDLE_AT_MOST: Duration = Duration::from_secs(300);
const OLD: Duration = Duration::from_secs(7_200);

/// Which environment a call is given to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Choice {
    /// The one that was idle last, or a new one.
    LastIdle { most: usize },
    /// Any that is idle of so many, each of which is started by its first call.
    Any { all: usize },
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) calls: usize,
    /// Calls that met the trouble before the first rejection had reached all.
    pub(super) let_through: usize,
    pub(super) first_at: Option<Duration>,
    pub(super) last_at: Option<Duration>,
    /// When the trip was written, or the last one.
    pub(super) opened_at: Option<Duration>,
    pub(super) first_opened_at: Option<Duration>,
    pub(super) rejected: usize,
    /// Calls that no environment was left for.
    pub(super) refused: usize,
    pub(super) at_once: usize,
    /// Environments that were started, and those that were ended.
    pub(super) started: usize,
    pub(super) ended: usize,
    /// Calls before which a freeze was noticed.
    pub(super) thaws: usize,
    pub(super) trips: usize,
    pub(super) ballots: usize,
    pub(super) reads: usize,
    pub(super) unawaited: usize,
    /// Calls that failed, and may not have counted because of a freeze before them.
    pub(super) uncounted: usize,
    /// The environment of each call that met the trouble, failed and counts, in order.
    pub(super) failed: Vec<usize>,
}

impl Run {
    /// From the first call that met the trouble to the last that was let through.
    pub(super) fn rejects_after(&self) -> Option<Duration> {
        (self.rejected > 0).then_some(())?;
        Some(self.last_at?.saturating_sub(self.first_at?))
    }

    /// How many calls count before so many environments have failed so often, each by chance.
    pub(super) fn least_for(&self, voters: usize, streak: usize) -> Option<usize> {
        let mut failures = HashMap::new();
        let mut voted = 0;
        let last = self.failed.iter().position(|number| {
            let failures = failures.entry(number).or_insert(0);
            *failures += 1;
            voted += usize::from(*failures == streak);
            voted == voters
        });
        last.map(|last| last + 1)
    }

    /// From the first call that met the trouble to the first trip.
    pub(super) fn opens_after_first(&self) -> Option<Duration> {
        Some(self.first_opened_at?.saturating_sub(self.first_at?))
    }

    /// From the first call that met the trouble to the write of the trip.
    pub(super) fn opens_after(&self) -> Option<Duration> {
        Some(self.opened_at?.saturating_sub(self.first_at?))
    }
}

struct Environment {
    _registry: BreakerRegistry,
    breaker: Breaker,
    running: Arc<Running>,
}

#[derive(Default)]
struct State {
    environments: HashMap<usize, Arc<Environment>>,
    /// Those that are idle, of which the last was idle last; with any of so many, also those that
    /// are yet to be started.
    idle: VecDeque<usize>,
    busy: usize,
    /// How many numbers were given to environments.
    numbers: usize,
    run: Run,
    rng: fastrand::Rng,
}

pub(super) struct Fleet {
    plan: Plan,
    start: Instant,
    table: Arc<Mutex<Table>>,
    state: Mutex<State>,
}

/// Plays a plan to its end.
pub(super) fn play(plan: Plan) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let fleet = Fleet::new(plan);
        fleet.perform().await;
        fleet.finish()
    })
}

impl Fleet {
    #[expect(clippy::disallowed_methods, reason = "the start of paused time")]
    fn new(plan: Plan) -> Arc<Self> {
        let rng = fastrand::Rng::with_seed(plan.seed);
        let state = State { rng, ..State::default() };
        let (table, state) = (Arc::default(), Mutex::new(state));
        let fleet = Arc::new(Self { plan, start: Instant::now(), table, state });
        if let Choice::Any { all } = fleet.plan.choice {
            fleet.state().idle = (0..all).collect();
        }
        fleet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn at(&self) -> Duration {
        self.start.elapsed()
    }

    async fn perform(self: &Arc<Self>) {
        let mut calls = JoinSet::new();
        let mut next = Duration::ZERO;
        while next < self.plan.lasts {
            let rest = self.state().rng.f64();
            // As many callers that know nothing of each other call.
            next += Duration::from_secs_f64(-(1.0 - rest).ln() / self.plan.rate);
            sleep_until(self.start + next).await;
            while calls.try_join_next().is_some() {}
            match self.choose() {
                Some(number) => {
                    calls.spawn(Arc::clone(self).call(number));
                }
                None => self.state().run.refused += 1,
            }
        }
    }

    fn finish(&self) -> Run {
        let mut run = self.state().run.clone();
        let table = self.table.lock().unwrap();
        (run.trips, run.ballots) = (table.trips, table.ballots);
        run.opened_at = table.opened_at;
        run.first_opened_at = table.first_opened_at;
        (run.reads, run.unawaited) = (table.reads, table.unawaited);
        run
    }

    /// Starts an environment.
    fn start_one(&self, number: usize) -> Arc<Environment> {
        let state = &mut *self.state();
        state.run.started += 1;
        let (rng, seed) = (state.rng.fork(), state.rng.u64(..));
        let running = Arc::new(Running::new(SystemTime::UNIX_EPOCH + START + self.at()));
        let client = Client::new(Arc::clone(&self.table), self.start, Arc::clone(&running), rng);
        let registry = BreakerRegistry::builder(client)
            .config(self.plan.config.clone())
            .clock(running.clock())
            .jitter_seed(seed)
            .transition_capacity(1)
            .disabled(false)
            .spawn()
            .unwrap();
        let breaker = registry.breaker("payments").unwrap();
        let environment = Arc::new(Environment { _registry: registry, breaker, running });
        state.environments.insert(number, Arc::clone(&environment));
        environment
    }

    /// Ends the environments that were idle for too long. Those idle longest are first.
    fn end_idle(&self) {
        let state = &mut *self.state();
        while let Some(number) = state.idle.front() {
            if state.environments[number].running.idle() <= IDLE_AT_MOST {
                break;
            }
            state.environments.remove(number);
            state.idle.pop_front();
            state.run.ended += 1;
        }
    }

    /// Takes an environment for a call, or the number of one that is to be started.
    fn choose(&self) -> Option<usize> {
        if matches!(self.plan.choice, Choice::LastIdle { .. }) {
            self.end_idle();
        }
        let state = &mut *self.state();
        let number = match self.plan.choice {
            Choice::LastIdle { most } => match state.idle.pop_back() {
                Some(number) => number,
                // All run: the next number is one that was given to none.
                None if state.busy < most => {
                    state.numbers += 1;
                    state.numbers - 1
                }
                None => return None,
            },
            Choice::Any { .. } if state.idle.is_empty() => return None,
            Choice::Any { .. } => {
                let drawn = state.rng.usize(0..state.idle.len());
                state.idle.swap_remove_back(drawn)?
            }
        };
        state.busy += 1;
        state.run.at_once = state.run.at_once.max(state.busy);
        state.run.calls += 1;
        Some(number)
    }

    /// Returns the environment, started anew if it is none yet or was ended.
    fn environment(&self, number: usize) -> Arc<Environment> {
        let found = self.state().environments.get(&number).cloned();
        if let Some(environment) = found {
            let running = &environment.running;
            if running.idle() <= IDLE_AT_MOST && running.age() <= OLD {
                return environment;
            }
            self.state().run.ended += 1;
        }
        self.start_one(number)
    }

    async fn call(self: Arc<Self>, number: usize) {
        let environment = self.environment(number);
        // The last beat of its heartbeat was up to a second before the freeze.
        let noticed_from = SECOND * 2 + SECOND.mul_f64(self.state().rng.f64());
        let is_brief = environment.running.idle() <= self.plan.config.local_cache_max_age();
        let (called, was_frozen) = environment
            .running
            .run(noticed_from, async {
                match self.plan.limit {
                    Some(limit) => environment.breaker.call_within(limit, || self.depend()).await,
                    None => environment.breaker.call(|| self.depend()).await,
                }
            })
            .await;
        let state = &mut *self.state();
        state.run.thaws += usize::from(was_frozen);
        // After a freeze that was noticed, a call that came before the cache was too old may have
        // been cut off for all the crate knows: its failure does not count.
        let may_not_count = was_frozen && is_brief;
        match called {
            Ok(()) => {}
            Err(CallError::Open(_)) => state.run.rejected += 1,
            Err(_) if may_not_count => state.run.uncounted += 1,
            Err(_) if matches!(self.plan.trouble, Trouble::Fails(_)) => {
                state.run.failed.push(number);
            }
            Err(_) => {}
        }
        state.busy -= 1;
        state.idle.push_back(number);
    }

    /// The dependency.
    async fn depend(&self) -> Result<(), &'static str> {
        let at = self.at();
        let is_well = at < self.plan.from || at >= self.plan.until;
        match self.plan.trouble {
            Trouble::Background(share) => {
                let fails = !is_well && self.state().rng.f64() < share;
                sleep(CALL).await;
                if fails { Err("now and then") } else { Ok(()) }
            }
            Trouble::Hangs(_) | Trouble::Fails(_) if is_well => {
                sleep(CALL).await;
                Ok(())
            }
            Trouble::Hangs(hang) => {
                self.meets(at);
                sleep(hang).await;
                Err("hung")
            }
            Trouble::Fails(share) => {
                if self.state().rng.f64() >= share {
                    sleep(CALL).await;
                    return Ok(());
                }
                self.meets(at);
                sleep(REFUSED).await;
                Err("refused")
            }
        }
    }

    /// A call meets the trouble. One that probes does so a recovery timeout later.
    fn meets(&self, at: Duration) {
        let opened_at = self.table.lock().unwrap().opened_at;
        let run = &mut self.state().run;
        let half = self.plan.config.recovery_timeout() / 2;
        let probes = opened_at.is_some_and(|opened| at >= opened + half);
        if !probes {
            run.first_at.get_or_insert(at);
            run.last_at = Some(at);
            run.let_through += 1;
        }
    }
}
