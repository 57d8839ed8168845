//! One run: a registry for each process, on one thread, on tokio's paused clock.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, BreakerRegistry, Clock, Hold, Origin, Transitions, VirtualClock};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    calls,
    notes::{Life, Notes, Told},
    partition::{Partition, View},
    plan::{Act, Plan, Span},
    store::Client,
};

pub(crate) const CIRCUIT: &str = "payments";
/// What every true clock shows at the start.
const START: Duration = Duration::from_millis(1_000_000_300);
/// How often the clock of a process that freezes is moved, if nothing happens.
const TICK: Duration = Duration::from_millis(10);
/// How often it is looked whether the run is over.
const LOOK: Duration = Duration::from_millis(50);
/// For how long a run goes on after that.
const AFTER: Duration = Duration::from_secs(3);

/// What can change, and what is noted.
pub(crate) struct State {
    pub(crate) partition: Partition,
    pub(crate) lives: Vec<Life>,
    pub(crate) notes: Notes,
    /// How many processes take an opening that is over for one that is not.
    pub(crate) ignorant: usize,
}

pub(crate) struct World {
    start: Instant,
    pub(crate) plan: Plan,
    state: Mutex<State>,
    clocks: Vec<Mutex<Option<Watch>>>,
}

/// What is left of a run.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) ended: Duration,
}

/// Plays a plan to its end.
pub(crate) fn play(plan: Plan) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    let world = runtime.block_on(perform(plan));
    // Whatever still runs goes with the runtime.
    drop(runtime);
    let ended = world.state().notes.ended;
    let world = Arc::into_inner(world).unwrap();
    Run { plan: world.plan, state: world.state.into_inner().unwrap(), ended }
}

async fn perform(plan: Plan) -> Arc<World> {
    let world = Arc::new(World::new(plan));
    let mut tasks = JoinSet::new();
    for number in 0..world.plan.processes.len() {
        tasks.spawn(calls::live(Arc::clone(&world), number));
    }
    tasks.spawn(act(Arc::clone(&world)));
    world.over().await;
    world.state().notes.ended = world.at();
    tasks.shutdown().await;
    world
}

/// Does to the item what the plan says.
async fn act(world: Arc<World>) {
    for (at, act) in world.plan.acts.clone() {
        world.sleep_until(at).await;
        let breaker = |number: usize| world.state().lives[number].breaker.clone();
        match act {
            Act::Delete => {
                let at = world.at();
                world.state().partition.step(at, None, "delete", None);
            }
            Act::Hold(by, length) => {
                let until = SystemTime::UNIX_EPOCH + START + at + length;
                let Some(breaker) = breaker(by) else { continue };
                let _ = breaker.hold(Hold::open(until).reason("maintenance")).await;
            }
            Act::Release(by) => {
                let Some(breaker) = breaker(by) else { continue };
                let _ = breaker.release().await;
            }
        }
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the start of paused time")]
    fn new(plan: Plan) -> Self {
        let count = plan.processes.len();
        let state = State {
            partition: Partition::new(plan.seed, plan.limits.clone()),
            lives: std::iter::repeat_with(Life::default).take(count).collect(),
            notes: Notes::default(),
            ignorant: 0,
        };
        let clocks = std::iter::repeat_with(Mutex::default).take(count).collect();
        Self { start: Instant::now(), plan, state: Mutex::new(state), clocks }
    }

    /// Since the start.
    pub(crate) fn at(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) async fn sleep_until(&self, at: Duration) {
        sleep_until(self.start + at).await;
    }

    async fn over(&self) {
        let mut settled_at = None;
        while self.at() < self.plan.until {
            sleep(LOOK).await;
            let state = self.state();
            let is_over = self.plan.settles_after.is_some_and(|after| self.at() > after)
                && state.ignorant == 0
                && state.partition.newest().is_closed();
            drop(state);
            settled_at = if is_over { settled_at.or(Some(self.at())) } else { None };
            if settled_at.is_some_and(|settled| self.at() > settled + AFTER) {
                return;
            }
        }
    }

    /// Starts a process, and returns what it keeps.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        number: usize,
        rng: &mut fastrand::Rng,
    ) -> (BreakerRegistry, Breaker) {
        let process = &self.plan.processes[number];
        let wall = SystemTime::UNIX_EPOCH + START + self.at();
        let hands = if process.frozen.is_empty() {
            VirtualClock::following_tokio(wall)
        } else {
            let watch = Watch::new(wall, self.at(), process.frozen.clone(), rng.bool());
            let hands = watch.hands.clone();
            *self.clocks[number].lock().unwrap() = Some(watch);
            hands
        };
        hands.step_wall(process.ahead_ms);
        let registry = BreakerRegistry::builder(Client::new(Arc::clone(self), number, rng.fork()))
            .config(process.config.clone())
            .clock(Clock::from(&hands))
            .jitter_seed(rng.u64(..))
            .transition_capacity(8)
            .disabled(false)
            .spawn()
            .unwrap();
        let breaker = registry.breaker(CIRCUIT).unwrap();
        self.state().lives[number].breaker = Some(breaker.clone());
        (registry, breaker)
    }

    /// Waits until a process is not frozen, and moves its clock.
    pub(crate) async fn thawed(&self, number: usize) {
        let frozen = &self.plan.processes[number].frozen;
        while let Some(freeze) = frozen.iter().find(|freeze| freeze.has(self.at())) {
            self.sleep_until(freeze.until).await;
        }
        if !frozen.is_empty()
            && let Some(watch) = &mut *self.clocks[number].lock().unwrap()
        {
            watch.turn(self.at());
        }
    }

    /// Moves the clock of a process that freezes.
    pub(crate) async fn tick(self: Arc<Self>, number: usize) {
        loop {
            self.thawed(number).await;
            sleep(TICK).await;
        }
    }

    /// A process has got an answer.
    pub(crate) fn showed(&self, number: usize, view: View) {
        let at = self.at();
        let state = &mut *self.state();
        let life = &mut state.lives[number];
        if life.shown != view {
            life.shown_since = at;
        }
        life.shown = view;
        life.first_heard_at.get_or_insert(at);
        let newest = state.partition.newest();
        if !view.is_closed && !life.ignorant {
            life.ignorant = true;
            state.ignorant += 1;
        } else if view.is_closed && view.episode == newest.episode && life.ignorant {
            life.ignorant = false;
            life.knows_at = Some(at);
            state.ignorant -= 1;
        }
    }
}

/// Hears what a process tells its subscribers.
pub(crate) async fn listen(world: Arc<World>, number: usize, mut transitions: Transitions) {
    while let Some(Ok(told)) = transitions.recv().await {
        if told.origin == Origin::Observed {
            continue;
        }
        let (at, alone) = (world.at(), told.origin == Origin::WithoutStore);
        let cause = format!("{:?}", told.cause);
        let told = Told { at, by: number, to: told.to_state, alone, cause };
        world.state().notes.told.push(told);
    }
}

/// The clock of a process that is frozen now and then.
struct Watch {
    hands: VirtualClock,
    since: Duration,
    frozen: Vec<Span>,
    /// Whether its monotonic clock stands still as well, as in AWS Lambda.
    stands: bool,
    /// How far both of its clocks, and its wall clock, have moved.
    moved: (Duration, Duration),
}

impl Watch {
    fn new(wall: SystemTime, since: Duration, frozen: Vec<Span>, stands: bool) -> Self {
        let hands = VirtualClock::standing_at(wall);
        Self { hands, since, frozen, stands, moved: Default::default() }
    }

    /// Moves it to what it shows at an instant.
    fn turn(&mut self, at: Duration) {
        let frozen = self.frozen.iter().find(|freeze| freeze.has(at));
        let wall = frozen.map_or(at, |freeze| freeze.from).saturating_sub(self.since);
        let past = self.frozen.iter().filter(|freeze| self.stands && freeze.until <= at);
        let stood: Duration = past.map(|freeze| freeze.until - freeze.from).sum();
        let mono = wall.saturating_sub(stood);
        let both = mono.saturating_sub(self.moved.0);
        self.hands.advance(both);
        let step = wall.saturating_sub(self.moved.1 + both);
        self.hands.step_wall(i64::try_from(step.as_millis()).unwrap());
        self.moved = (mono.max(self.moved.0), wall.max(self.moved.1));
    }
}
