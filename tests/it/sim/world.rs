//! One run: every process of a plan over one engine, on one virtual clock.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, CircuitTransition, Clock, Config, Hold, VirtualClock,
    store::Store,
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    bounds,
    dice::Dice,
    freeze::{TICK, Watch},
    plan::{Order, Plan, PlannedProcess},
    process,
};
use crate::support::engine::{Engine, History, Request, now};

/// The circuit that every process has.
pub(crate) const CIRCUIT: &str = "payment-backend";

/// The true wall time at the start, in seconds since the Unix epoch.
pub(crate) const START: i64 = 1_000_000;

/// How long an operator holds the circuit open.
const HOLD: Duration = Duration::from_secs(8);

/// One call, as its caller saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) client: String,
    pub(crate) asked: Duration,
    /// When it was admitted; it is rejected without.
    pub(crate) begun: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    pub(crate) probe: bool,
    /// Whether it is a good call: the dependency was well, and it was not slow.
    pub(crate) good: bool,
    /// Whether it ended for the breaker before it did.
    pub(crate) slow: bool,
    /// The open time that it asked for.
    pub(crate) asked_for: Option<Duration>,
    /// When it was rejected, and whether only for a ramp.
    pub(crate) rejected: Option<(Duration, bool)>,
}

/// What a process told its subscribers, and when.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: Duration,
    pub(crate) client: String,
    pub(crate) transition: CircuitTransition,
}

/// What callers and subscribers saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) calls: Vec<Call>,
    pub(crate) told: Vec<Told>,
}

/// What all processes of a run share.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) engine: Engine,
    pub(crate) start: Instant,
    notes: Mutex<Notes>,
    /// Who lives, by label.
    living: Mutex<Vec<(String, Breaker)>>,
    /// The clocks of the living that have to be moved.
    watches: Mutex<Vec<Arc<Watch>>>,
}

/// Everything that was seen of a run.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) history: History,
    pub(crate) notes: Notes,
    pub(crate) requests: Vec<Request>,
    pub(crate) start: Instant,
    /// When it was over.
    pub(crate) ended_at: Duration,
    /// When the circuit was closed everywhere, after the quiet had begun.
    pub(crate) closed_at: Option<Duration>,
    /// Who was not closed at the end, and the item.
    pub(crate) left: String,
}

impl World {
    pub(crate) async fn new(plan: Plan) -> Self {
        let engine = Engine::new();
        engine.record();
        let start = now();
        if plan.tells_time {
            engine.set_clock(move || true_start() + start.elapsed());
        }
        let (notes, living, watches) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { plan, engine, start, notes, living, watches }
    }

    /// Who lives, and what it takes the circuit to be.
    pub(crate) fn states(&self) -> Vec<(String, CircuitState)> {
        let state = |breaker: &Breaker| breaker.snapshot().state();
        self.living().iter().map(|(label, it)| (label.clone(), state(it))).collect()
    }

    pub(crate) fn at(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    pub(crate) fn living(&self) -> MutexGuard<'_, Vec<(String, Breaker)>> {
        self.living.lock().unwrap()
    }

    pub(crate) async fn sleep_until(&self, at: Duration) {
        match self.start.checked_add(at) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// A clock that is ahead of the true time by so much.
    pub(crate) fn clock(&self, ahead_ms: i64) -> VirtualClock {
        let clock = VirtualClock::following_tokio(true_start() + self.at());
        clock.step_wall(ahead_ms);
        clock
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Run {
        Run {
            plan: self.plan.clone(),
            history: self.engine.history(),
            requests: self.engine.requests(),
            start: self.start,
            ended_at: self.at(),
            notes: self.notes().clone(),
            closed_at: None,
            left: String::new(),
        }
    }

    /// The clock of a process that starts now.
    pub(crate) fn watch(&self, process: &PlannedProcess) -> Arc<Watch> {
        let watch = Arc::new(Watch::start(process, self.at(), true_start()));
        if watch.stands() {
            self.watches.lock().unwrap().push(Arc::clone(&watch));
        }
        watch
    }

    /// The process of this clock is gone.
    pub(crate) fn stop(&self, watch: &Arc<Watch>) {
        self.watches.lock().unwrap().retain(|other| !Arc::ptr_eq(other, watch));
    }

    pub(crate) fn registry(&self, label: &str, clock: &VirtualClock) -> BreakerRegistry {
        let config = self.plan.config.clone();
        self.registry_over(self.engine.store(label), config, label, clock)
    }

    pub(crate) fn registry_over(
        &self,
        store: impl Store,
        config: Config,
        label: &str,
        clock: &VirtualClock,
    ) -> BreakerRegistry {
        BreakerRegistry::builder(store)
            .config(config)
            .clock(Clock::from(clock))
            .jitter_seed(Dice::seed_of(self.plan.seed, label))
            .disabled(false)
            .spawn()
            .unwrap()
    }
}

fn true_start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs())
}

/// Plays a plan on a runtime of its own.
pub(crate) fn play(plan: Plan) -> Run {
    // The jitter of the SDK's retries.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(perform(plan))
}

async fn perform(plan: Plan) -> Run {
    let world = Arc::new(World::new(plan).await);
    let mut tasks = JoinSet::new();
    for number in 0..world.plan.processes.len() {
        tasks.spawn(process::live(Arc::clone(&world), number));
    }
    tasks.spawn(operate(Arc::clone(&world)));
    tasks.spawn(delete(Arc::clone(&world)));
    tasks.spawn(tick(Arc::clone(&world)));
    let ended = until_closed(&world, &mut tasks).await;
    let left = format!("{:?}, item {:?}", world.states(), world.engine.get_item(CIRCUIT));
    tasks.shutdown().await;
    Run { closed_at: ended, left, ..world.seen() }
}

/// Waits for the quiet, and then until everyone is closed, no longer than may be.
async fn until_closed(world: &World, tasks: &mut JoinSet<()>) -> Option<Duration> {
    world.sleep_until(world.plan.quiet).await;
    let latest = world.plan.quiet + bounds::time_to_close(&world.plan);
    loop {
        while let Some(ended) = tasks.try_join_next() {
            ended.unwrap();
        }
        let open = world.states().iter().any(|(_, state)| *state != CircuitState::Closed);
        let item = world.engine.get_item(CIRCUIT);
        if !open && item.is_none_or(|item| item["state"] == "CLOSED") {
            let closed_at = world.at();
            // Nothing changes after that.
            let more = 2 * world.plan.config.local_cache_max_age() + Duration::from_secs(5);
            tokio::time::sleep(more).await;
            return Some(closed_at);
        }
        if world.at() > latest {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The operator has a process of its own, which makes no calls, and a network
/// without faults.
async fn operate(world: Arc<World>) {
    if world.plan.orders.is_empty() {
        return;
    }
    let clock = world.clock(0);
    let registry = world.registry("operator", &clock);
    let transitions = registry.subscribe();
    let breaker = registry.breaker(CIRCUIT).unwrap();
    let mut ears = JoinSet::new();
    ears.spawn(process::listen(Arc::clone(&world), "operator".to_owned(), transitions));
    let lift = (world.plan.quiet, Order::Release);
    for (at, order) in world.plan.orders.iter().copied().chain([lift]) {
        world.sleep_until(at).await;
        let done = match order {
            Order::Hold => breaker.hold(Hold::open(clock.wall() + HOLD).reason("simulated")).await,
            Order::Release => breaker.release().await,
        };
        // Others may be faster five times in a row.
        let _ = done;
    }
    drop(registry);
}

/// Moves the clocks of processes that freeze, for what their timers wake.
async fn tick(world: Arc<World>) {
    while world.plan.processes.iter().any(|process| !process.freezes.is_empty()) {
        tokio::time::sleep(TICK).await;
        let at = world.at();
        world.watches.lock().unwrap().iter().for_each(|watch| watch.turn(at));
    }
}

/// The store forgets the item, as it does with those that have expired.
async fn delete(world: Arc<World>) {
    for at in &world.plan.deletions {
        world.sleep_until(*at).await;
        world.engine.delete_item(CIRCUIT);
    }
}
