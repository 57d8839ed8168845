//! The platform: which environment a call is given to, and what becomes of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, CallError, Clock, VirtualClock};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Plan, Trouble,
    store::{Client, Running, Table},
};

const START: Duration = Duration::from_millis(1_000_000_300);
/// How long a healthy call takes.
const CALL: Duration = Duration::from_millis(200);
/// How long a call to a dead dependency takes.
const REFUSED: Duration = Duration::from_millis(5);

/// Which environment a call is given to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Choice {
    /// The one that was idle last, or a new one.
    LastIdle { most: usize },
    /// Any that is idle of so many, which were all started before.
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
    pub(super) rejected: usize,
    /// Calls that no environment was left for.
    pub(super) refused: usize,
    pub(super) at_once: usize,
    pub(super) trips: usize,
    pub(super) ballots: usize,
    pub(super) reads: usize,
    pub(super) unawaited: usize,
    /// The environment of each call that met the trouble and failed, in order.
    pub(super) failed: Vec<usize>,
}

impl Run {
    /// From the first call that met the trouble to the last that was let through.
    pub(super) fn rejects_after(&self) -> Option<Duration> {
        (self.rejected > 0).then_some(())?;
        Some(self.last_at?.saturating_sub(self.first_at?))
    }

    /// How many calls fail before so many environments have failed so often, each by chance.
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
    environments: Vec<Arc<Environment>>,
    idle: Vec<usize>,
    busy: usize,
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
            (0..all).for_each(|_| fleet.start_one());
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
        (run.reads, run.unawaited) = (table.reads, table.unawaited);
        run
    }

    /// Starts an environment, which is idle at first.
    fn start_one(&self) {
        let rng = self.state().rng.fork();
        let seed = self.state().rng.u64(..);
        let running = Arc::<Running>::default();
        let hands = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH + START + self.at());
        let client = Client::new(Arc::clone(&self.table), self.start, Arc::clone(&running), rng);
        let registry = BreakerRegistry::builder(client)
            .config(self.plan.config.clone())
            .clock(Clock::from(&hands))
            .jitter_seed(seed)
            .transition_capacity(1)
            .disabled(false)
            .spawn()
            .unwrap();
        let breaker = registry.breaker("payments").unwrap();
        let mut state = self.state();
        let number = state.environments.len();
        state.environments.push(Arc::new(Environment { _registry: registry, breaker, running }));
        state.idle.push(number);
    }

    /// Takes an environment for a call.
    fn choose(&self) -> Option<usize> {
        if let Choice::LastIdle { most } = self.plan.choice {
            let starts = {
                let state = self.state();
                state.idle.is_empty() && state.environments.len() < most
            };
            if starts {
                self.start_one();
            }
        }
        let state = &mut *self.state();
        let number = match self.plan.choice {
            Choice::LastIdle { .. } => state.idle.pop()?,
            Choice::Any { .. } if state.idle.is_empty() => return None,
            Choice::Any { .. } => state.idle.swap_remove(state.rng.usize(0..state.idle.len())),
        };
        state.busy += 1;
        state.run.at_once = state.run.at_once.max(state.busy);
        state.run.calls += 1;
        Some(number)
    }

    async fn call(self: Arc<Self>, number: usize) {
        let environment = Arc::clone(&self.state().environments[number]);
        environment.running.set(true);
        let called = match self.plan.limit {
            Some(limit) => environment.breaker.call_within(limit, || self.depend()).await,
            None => environment.breaker.call(|| self.depend()).await,
        };
        environment.running.set(false);
        let state = &mut *self.state();
        match called {
            Ok(()) => {}
            Err(CallError::Open(_)) => state.run.rejected += 1,
            Err(_) if self.plan.trouble == Trouble::Dead => state.run.failed.push(number),
            Err(_) => {}
        }
        state.busy -= 1;
        state.idle.push(number);
    }

    /// The dependency.
    async fn depend(&self) -> Result<(), &'static str> {
        let at = self.at();
        let is_well = at < self.plan.from;
        match self.plan.trouble {
            Trouble::Background(share) => {
                let fails = !is_well && self.state().rng.f64() < share;
                sleep(CALL).await;
                if fails { Err("now and then") } else { Ok(()) }
            }
            Trouble::Hangs(_) | Trouble::Dead if is_well => {
                sleep(CALL).await;
                Ok(())
            }
            Trouble::Hangs(hang) => {
                self.meets(at);
                sleep(hang).await;
                Err("hung")
            }
            Trouble::Dead => {
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
