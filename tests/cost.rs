//! What a call costs: allocations, messages, bytes.
//!
//! A binary of its own, because an allocator that counts is the whole binary's.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test that meets what it does not expect has failed"
)]

use std::{
    future::{Future, Ready, pending, ready},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use allocation_counter::measure;
use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, ClassifiedBreaker, Classifier, Config,
    ConfigBuilder, MemoryStore, OpenError, OwnedPermit, Permit, Rejection, Rule, Settling,
    VirtualClock, tower::FlushLayer,
};
use futures::FutureExt as _;
use tokio::runtime::Runtime;
use tower_layer::Layer as _;
use tower_service::Service;

/// Three circuits whose actors run on this thread, and only when they are let.
struct World {
    runtime: Runtime,
    registry: BreakerRegistry,
    closed: Breaker,
    open: Breaker,
    half_open: Breaker,
    probe: OwnedPermit,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let (registry, closed, open, half_open, probe) = runtime.block_on(async {
            let config = Config::builder().await_trip_write(false).build().unwrap();
            let registry = BreakerRegistry::builder(MemoryStore::new())
                .config(config)
                .clock(&clock)
                .disabled(false)
                .spawn()
                .unwrap();
            let half_open = registry.breaker("half-open").unwrap();
            trip(&half_open).await;
            clock.advance(Duration::from_secs(31));
            let probe = half_open.admit_owned().await.unwrap();
            let open = registry.breaker("open").unwrap();
            trip(&open).await;
            let closed = registry.breaker("closed").unwrap();
            closed.admit().await.unwrap().success();
            (registry, closed, open, half_open, probe)
        });
        let world = Self { runtime, registry, closed, open, half_open, probe };
        world.let_actors_run();
        assert!(world.probe.is_probe());
        assert_eq!(world.half_open.snapshot().state(), CircuitState::HalfOpen);
        assert_eq!(world.open.snapshot().state(), CircuitState::Open);
        world
    }

    fn let_actors_run(&self) {
        self.runtime.block_on(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// How many actors were woken, and have not run since.
    fn woken(&self) -> usize {
        self.runtime.metrics().global_queue_depth()
    }
}

async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        breaker.admit().await.unwrap().failure().settled().await;
    }
}

/// What is there at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing is waited for")
}

/// Allocations of this thread, and bytes.
fn allocated(run: impl FnOnce()) -> (u64, u64) {
    let info = measure(run);
    (info.count_total, info.bytes_total)
}

fn answers() -> impl Future<Output = Result<u32, &'static str>> {
    ready(Ok(7))
}

fn judging(breaker: &Breaker) -> ClassifiedBreaker<Classifier<u32, &'static str>> {
    let judge = Classifier::builder().count_if(Result::is_err).build().unwrap();
    breaker.classified_by(judge)
}

/// Every way through a closed circuit, by a call that ends well.
fn pass_every_way(breaker: &Breaker, judging: &ClassifiedBreaker<Classifier<u32, &'static str>>) {
    breaker.try_admit().unwrap().success();
    now(breaker.admit()).unwrap().success();
    now(breaker.admit_owned()).unwrap().success();
    assert_eq!(now(breaker.call(answers)), Ok(7));
    assert_eq!(now(breaker.call_or_else(answers, |_| ready(Err("not run")))), Ok(7));
    assert_eq!(now(judging.call(answers)), Ok(7));
    assert_eq!(now(judging.call_or_else(answers, |_| ready(Err("not run")))), Ok(7));
    let limit = Duration::from_secs(2);
    assert_eq!(now(breaker.call_within(limit, answers)), Ok(7));
    assert_eq!(now(breaker.call_or_recover(answers, |_| ready(Err("not run")))), Ok(7));
    breaker.try_admit_owned().unwrap().or_failure().success();
    let owned = breaker.try_admit_owned().unwrap();
    assert_eq!(now(owned.run_within(limit, answers())), Ok(7));
    breaker.try_admit().unwrap().ignore();
}

/// Every way to be rejected.
fn be_rejected_every_way(
    breaker: &Breaker,
    judging: &ClassifiedBreaker<Classifier<u32, &'static str>>,
) {
    assert!(breaker.try_admit().unwrap_err().retry_after() > Duration::ZERO);
    assert!(OpenError::from(breaker.try_admit().unwrap_err()).retry_after() > Duration::ZERO);
    assert!(now(breaker.admit()).unwrap_err().retry_after() > Duration::ZERO);
    assert!(now(breaker.admit_owned()).is_err());
    assert!(breaker.try_admit_owned().is_err());
    assert!(now(breaker.call_within(Duration::from_secs(2), answers)).is_err());
    assert!(matches!(now(breaker.call(answers)), Err(CallError::Open(_))));
    assert!(matches!(now(judging.call(answers)), Err(CallError::Open(_))));
    assert_eq!(now(breaker.call_or_else(answers, |_| ready(Err("rejected")))), Err("rejected"));
    assert_eq!(now(judging.call_or_else(answers, |_| ready(Err("rejected")))), Err("rejected"));
}

#[test]
fn a_healthy_call_and_a_rejection_allocate_nothing() {
    let world = World::new();
    for breaker in [&world.open, &world.half_open] {
        let judging = judging(breaker);
        // What a thread needs to read its first snapshot.
        be_rejected_every_way(breaker, &judging);
        assert_eq!(allocated(|| be_rejected_every_way(breaker, &judging)), (0, 0));
    }
    let judging = judging(&world.closed);
    assert_eq!(allocated(|| pass_every_way(&world.closed, &judging)), (0, 0));
    assert_ne!(allocated(|| drop(std::hint::black_box(Box::new(7)))), (0, 0), "it is counted");
}

#[test]
fn a_fallback_gets_its_circuit_without_an_allocation() {
    let world = World::new();
    let fall_back = || {
        let fallback = |open: OpenError| {
            assert_eq!(open.into_circuit().state, CircuitState::Open);
            ready(Err::<u32, _>("rejected"))
        };
        assert_eq!(now(world.open.call_or_else(answers, fallback)), Err("rejected"));
    };
    fall_back();
    assert_eq!(allocated(fall_back), (0, 0));
}

#[test]
fn a_healthy_call_and_a_rejection_wake_nobody() {
    let world = World::new();
    let judging_closed = judging(&world.closed);
    assert_eq!(world.woken(), 0);
    for _ in 0..1_500 {
        pass_every_way(&world.closed, &judging_closed);
        for breaker in [&world.open, &world.half_open] {
            be_rejected_every_way(breaker, &judging(breaker));
        }
    }
    assert_eq!(world.woken(), 0, "no actor has a message");
    for _ in 0..5 {
        world.closed.try_admit().unwrap().failure();
    }
    assert_eq!(world.woken(), 1, "one would have been seen");
}

#[test]
fn failures_that_do_not_trip_and_the_good_calls_after_them_wake_nobody() {
    let world = World::new();
    for _ in 0..1_500 {
        for _ in 0..4 {
            world.closed.try_admit().unwrap().failure();
        }
        world.closed.try_admit().unwrap().success();
    }
    assert_eq!(world.woken(), 0, "no actor has a message");
    assert_eq!(world.closed.snapshot().state(), CircuitState::Closed);
}

#[test]
fn a_failure_that_does_not_trip_allocates_nothing_once_its_circuit_counts() {
    let world = World::new();
    let fail = || drop(world.closed.try_admit().unwrap().failure());
    let succeed = || drop(world.closed.try_admit().unwrap().success());
    let (count, bytes) = allocated(fail);
    assert!(count == 1 && bytes <= 2_560, "{count} allocations of {bytes} bytes");
    for _ in 0..100 {
        assert_eq!(allocated(succeed), (0, 0));
        assert_eq!(allocated(fail), (0, 0));
        assert_eq!(allocated(fail), (0, 0));
    }
    assert_eq!(world.closed.snapshot().state(), CircuitState::Closed);
}

#[test]
fn the_failure_that_trips_allocates_what_its_answer_needs() {
    let world = World::new();
    for _ in 0..4 {
        world.closed.try_admit().unwrap().failure();
    }
    let (count, bytes) = allocated(|| drop(world.closed.try_admit().unwrap().failure()));
    assert!(count <= 3 && bytes <= 1_024, "{count} allocations of {bytes} bytes");
    world.let_actors_run();
    assert_eq!(world.closed.snapshot().state(), CircuitState::Open);
}

#[test]
fn what_a_call_holds_is_small() {
    let world = World::new();
    let call = world.closed.call(pending::<Result<u32, &str>>);
    assert!(size_of_val(&call) <= 120, "{}", size_of_val(&call));
    let admit = world.closed.admit();
    assert!(size_of_val(&admit) <= 72, "{}", size_of_val(&admit));
    let admit = world.closed.admit_owned();
    assert!(size_of_val(&admit) <= 72, "{}", size_of_val(&admit));
    assert_eq!(size_of::<OpenError>(), 16);
    // The limit of a call that timed out fits where a rejection would be.
    assert_eq!(size_of::<CallError<&str>>(), 24);
    assert_eq!(size_of::<Result<u32, CallError<&str>>>(), 24);
    assert_eq!(size_of::<Settling>(), 8);
    assert_eq!(size_of::<Permit<'_>>(), 32);
    assert_eq!(size_of::<Result<Permit<'_>, Rejection<'_>>>(), 32);
    assert_eq!(size_of::<OwnedPermit>(), 32);
}

/// On this thread, which is where the actors run, and where all is counted.
#[test]
fn a_circuit_that_was_never_called_takes_at_most_two_kibibytes() {
    const CIRCUITS: usize = 1_000;
    let world = World::new();
    let names: Vec<_> = (0..CIRCUITS).map(|number| format!("circuit-{number:04}")).collect();
    let mut breakers = Vec::with_capacity(CIRCUITS);
    let live = measure(|| {
        for name in &names {
            breakers.push(world.registry.breaker(name).unwrap());
        }
        while world.woken() > 0 {
            world.let_actors_run();
        }
        world.let_actors_run();
    });
    let each = live.bytes_current / 1_000;
    assert!((1_000..=2_048).contains(&each), "{each} bytes for each circuit");
}

/// A service that answers at once.
struct Answers;

impl Service<u32> for Answers {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

#[test]
fn a_request_that_leaves_nothing_to_write_is_flushed_without_an_allocation() {
    let World { runtime, registry, probe, .. } = World::new();
    let mut service = FlushLayer::new(registry).deadline(|_: &u32| None).layer(Answers);
    // Until the right of the probe is given back, there is something to flush.
    drop(probe);
    assert_eq!(runtime.block_on(service.call(7)), Ok(7));
    assert_eq!(allocated(|| assert_eq!(now(service.call(7)), Ok(7))), (0, 0));
}

/// Settings with as many rules as there may be.
fn with_rules() -> Config {
    let minute = Duration::from_secs(60);
    let rules = [
        Rule::of_last(10, 100),
        Rule::within(10, minute),
        Rule::rate(0.5).over(minute).at_least(20).into(),
        Rule::of_last(1_000, 10_000),
    ];
    let builder = Config::builder().failure_threshold(100).failure_window(minute);
    rules.into_iter().fold(builder, ConfigBuilder::also_trip).build().unwrap()
}

#[test]
fn case_123_rules_take_no_memory_until_a_call_fails() {
    const CIRCUITS: usize = 500;
    let names: Vec<_> = (0..CIRCUITS).map(|number| format!("circuit-{number:04}")).collect();
    let live = |config| {
        let world = World::new();
        let registry = world.runtime.block_on(async {
            let builder = BreakerRegistry::builder(MemoryStore::new()).config(config);
            builder.disabled(false).spawn().unwrap()
        });
        let mut breakers = Vec::with_capacity(CIRCUITS);
        let live = measure(|| {
            for name in &names {
                let breaker = registry.breaker(name).unwrap();
                world.runtime.block_on(async { breaker.admit().await.unwrap().success() });
                breakers.push(breaker);
            }
            world.let_actors_run();
        });
        live.bytes_current
    };
    // Once for what the first registry of a thread needs.
    let _ = live(Config::default());
    let without = live(Config::default());
    assert!(without > 500 * 1_000, "{without} bytes");
    assert_eq!(live(with_rules()), without);
}

#[test]
fn case_103_good_calls_of_a_circuit_with_rules_allocate_nothing_and_wake_nobody() {
    let world = World::new();
    let breaker = world.registry.breaker_with("rules", with_rules()).unwrap();
    world.runtime.block_on(async { breaker.admit().await.unwrap().success() });
    world.let_actors_run();
    let judging = judging(&breaker);
    let cost = allocated(|| {
        for _ in 0..1_000_000 {
            breaker.try_admit().unwrap().success();
        }
        pass_every_way(&breaker, &judging);
    });
    assert_eq!((cost, world.woken()), ((0, 0), 0));
    // Nothing of them was counted: ten of the next hundred are enough.
    for _ in 0..9 {
        breaker.try_admit().unwrap().failure();
        (0..10).for_each(|_| drop(breaker.try_admit().unwrap().success()));
    }
    world.let_actors_run();
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    breaker.try_admit().unwrap().failure();
    world.let_actors_run();
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}
