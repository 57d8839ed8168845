//! Rules under many real threads, and with an actor that does not run.

use std::{
    sync::{Barrier, mpsc},
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, Config, ConfigBuilder, MemoryStore, Rule, VirtualClock,
};
use futures::FutureExt as _;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::support::faulty::FaultyStore;

const THREADS: u32 = 6;
const MINUTE: Duration = Duration::from_secs(60);

/// A registry whose actors run on one thread, and a clock that stands.
struct World {
    runtime: Runtime,
    registry: BreakerRegistry,
    store: FaultyStore,
    breaker: Breaker,
    clock: VirtualClock,
    tasks: JoinSet<()>,
}

impl World {
    fn with(settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let clock =
            VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let store = FaultyStore::over(&MemoryStore::new());
        let config = settings(Config::builder().failure_threshold(1_000_000)).build().unwrap();
        let registry = runtime.block_on(async {
            let builder = BreakerRegistry::builder(store.clone()).config(config);
            builder.clock(&clock).disabled(false).spawn().unwrap()
        });
        let breaker = registry.breaker("payment-backend").unwrap();
        runtime.block_on(async { breaker.admit().await.unwrap().success() });
        Self { runtime, registry, store, breaker, clock, tasks: JoinSet::new() }
    }

    /// Blocks the one thread that the actors run on until the sender is dropped.
    fn block(&mut self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (blocks, blocked) = mpsc::channel();
        let block = async move {
            blocks.send(()).unwrap();
            let _ = released.recv();
        };
        self.tasks.spawn_on(block, self.runtime.handle());
        blocked.recv().unwrap();
        release
    }

    /// Waits until every outcome is settled.
    fn state(&self) -> CircuitState {
        self.runtime.block_on(async {
            self.registry.flush(Duration::from_secs(5)).await.unwrap();
        });
        self.breaker.snapshot().state()
    }

    /// Ends so many calls, all well or none, on many threads at once.
    fn at_once(&self, calls: u32, is_good: bool) {
        let (failing, good) = if is_good { (0, calls) } else { (calls, 0) };
        self.mixed(failing, good);
    }

    /// Ends so many failing and good calls on many threads at once: each begins with another of the
    /// two.
    fn mixed(&self, failing: u32, good: u32) {
        let start = Barrier::new(usize::try_from(THREADS).unwrap());
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let start = &start;
                scope.spawn(move || {
                    let own = |calls| calls / THREADS + u32::from(thread < calls % THREADS);
                    let (mut failing, mut good) = (own(failing), own(good));
                    start.wait();
                    let mut is_good = thread % 2 == 0;
                    while failing + good > 0 {
                        is_good = (is_good && good > 0) || failing == 0;
                        end(&self.breaker, is_good);
                        if is_good {
                            good -= 1;
                        } else {
                            failing -= 1;
                        }
                        is_good = !is_good;
                    }
                });
            }
        });
    }
}

fn end(breaker: &Breaker, is_good: bool) {
    let permit = breaker.try_admit().unwrap();
    if is_good {
        permit.success()
    } else {
        permit.failure()
    };
}

/// Failures, then good calls, then failures, each by many threads at once: whatever their order
/// within each, the rule decides the same.
#[test]
fn case_102_rules_count_every_call_of_many_threads() {
    for seed in 0..150 {
        let mut random = Rng::with_seed(seed);
        let (failures, more) = (random.u32(2..200), random.u32(0..300));
        let first = random.u32(1..failures);
        for (good, is_open) in [(more, true), (more + 1, false)] {
            let rule = Rule::of_last(failures, failures + more);
            let world = World::with(|config| config.also_trip(rule));
            world.at_once(first, false);
            world.at_once(good, true);
            world.at_once(failures - first - 1, false);
            assert_eq!(world.state(), CircuitState::Closed, "seed {seed}");
            end(&world.breaker, false);
            let state = world.state();
            assert_eq!(state == CircuitState::Open, is_open, "seed {seed}: {rule:?}, {good} good");
        }
    }
}

#[test]
fn case_105_good_calls_of_many_threads_send_nothing_and_none_is_lost() {
    for seed in 0..50 {
        let mut random = Rng::with_seed(seed);
        let (failures, good) = (random.u32(2..50), random.u32(1..3_000));
        // Reached by the last failure if every good call was counted, and none twice.
        let share = f64::from(failures) / f64::from(failures + good);
        for (missing, is_open) in [(0, true), (1, false)] {
            let rate = Rule::rate(share).over(MINUTE).at_least(failures + good + missing);
            let mut world = World::with(|config| config.also_trip(rate));
            let release = world.block();
            world.at_once(failures - 1, false);
            world.at_once(good, true);
            drop(release);
            assert_eq!(world.state(), CircuitState::Closed, "seed {seed}");
            assert_eq!(world.store.log(), ["read"], "seed {seed}");
            end(&world.breaker, false);
            let state = world.state();
            assert_eq!(state == CircuitState::Open, is_open, "seed {seed}: {rate:?}");
        }
    }
}

/// The actor has not run, so that nothing is known but what the calls themselves have counted.
#[test]
fn case_104_calls_that_end_in_one_task_are_counted_in_their_order() {
    for (calls, is_open) in [("FSSF", false), ("FSF", true), ("FF", true), ("SFSSFSSF", false)] {
        let mut world = World::with(|config| config.also_trip(Rule::of_last(2, 3)));
        let release = world.block();
        for call in calls.chars() {
            end(&world.breaker, call == 'S');
        }
        drop(release);
        assert_eq!(world.state() == CircuitState::Open, is_open, "{calls}");
    }
}

/// Good and failing calls by many threads, mixed: whatever their order, the rule decides the same
/// once all have ended.
#[test]
fn rules_count_every_call_of_many_threads_that_end_in_any_order() {
    for seed in 0..100 {
        let mut random = Rng::with_seed(seed);
        let (failures, good) = (random.u32(3..100), random.u32(1..300));
        let share = f64::from(failures) / f64::from(failures + good);
        let rules: [(Rule, &str); 3] = [
            (Rule::of_last(failures, failures + good), "102"),
            (Rule::within(failures, MINUTE), "106"),
            (Rule::rate(share).over(MINUTE).at_least(failures + good).into(), "108"),
        ];
        for (rule, case) in rules {
            let world = World::with(|config| config.also_trip(rule));
            // The calls that are counted begin with a failure.
            end(&world.breaker, false);
            world.mixed(failures - 2, good);
            assert_eq!(world.state(), CircuitState::Closed, "seed {seed}, case {case}: {rule:?}");
            end(&world.breaker, false);
            assert_eq!(world.state(), CircuitState::Open, "seed {seed}, case {case}: {rule:?}");
        }
    }
}

#[test]
fn case_107_a_failure_window_counts_every_failure_of_many_threads() {
    for threshold in [6, 50, 600] {
        for (late, is_open) in [(MINUTE, true), (MINUTE + Duration::from_millis(1), false)] {
            let settings =
                |config: ConfigBuilder| config.failure_threshold(threshold).failure_window(MINUTE);
            let world = World::with(settings);
            world.at_once(threshold - 1, false);
            world.clock.advance(late);
            // What is known is too old: the first call asks.
            drop(world.runtime.block_on(world.breaker.admit()).unwrap());
            world.at_once(1, false);
            let state = world.state();
            assert_eq!(state == CircuitState::Open, is_open, "{threshold} within {late:?}");
            if !is_open {
                world.at_once(threshold - 2, false);
                assert_eq!(world.state(), CircuitState::Closed, "{threshold}: one is missing");
                world.at_once(1, false);
                assert_eq!(world.state(), CircuitState::Open, "{threshold}");
            }
        }
    }
}

#[test]
fn case_115_a_full_mailbox_loses_no_failure_of_any_window() {
    for rule in [
        Rule::of_last(3_000, 9_000),
        Rule::within(3_000, MINUTE),
        Rule::rate(0.33).over(MINUTE).at_least(9_000).into(),
    ] {
        let mut world = World::with(|config| config.also_trip(rule));
        let release = world.block();
        // More than the mailbox has room for.
        let entered = world.runtime.enter();
        let mut asking: Vec<_> = (0..1_100).map(|_| Box::pin(world.breaker.refresh())).collect();
        for asked in &mut asking {
            assert!(asked.as_mut().now_or_never().is_none());
        }
        drop(entered);
        world.at_once(2_999, false);
        world.at_once(6_000, true);
        end(&world.breaker, false);
        drop((release, asking));
        assert_eq!(world.state(), CircuitState::Open, "{rule:?}");
        assert_eq!(world.breaker.snapshot().circuit().failure_count, 3_000, "{rule:?}");
    }
}
