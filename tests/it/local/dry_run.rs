//! Circuits that are only tried: every call runs.

use std::{env, future::ready, time::Duration};

use fastrand::Rng;
use fuseboard::{
    Backoff, Breaker, BreakerRegistry, CallError, Cause, CircuitName, CircuitState, Config,
    ConfigBuilder, Hold, MemoryStore, NameError, OpenError, RegistryError, Rule, Settings,
    tower::BreakerLayer,
};
use tower::{Service as _, ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::{
    log::Lines,
    memory::{CIRCUIT, World, fail, heard, pass, settle, succeed, timed},
};

const SHADOW: &str = "payment-backend#dry-run";

/// A call by any of the ways in. Returns `true` if it ran.
async fn call(breaker: &Breaker, way: u32, is_good: bool) -> bool {
    let outcome = if is_good { Ok(()) } else { Err("down") };
    match way {
        0 => breaker.call(|| ready(outcome)).await.err().is_none_or(|error| error.open().is_none()),
        1 => {
            breaker.call_or_else(|| ready(outcome), |_| ready(Err("rejected"))).await
                != Err("rejected")
        }
        2 => breaker.try_admit().is_ok_and(|permit| {
            drop(if is_good { permit.success() } else { permit.failure() });
            true
        }),
        3 => breaker.try_admit_owned().is_ok_and(|permit| {
            drop(if is_good { permit.success() } else { permit.failure() });
            true
        }),
        4 => match breaker.admit_owned().await {
            Ok(permit) => permit.run(ready(outcome)).await.is_ok() || !is_good,
            Err(_) => false,
        },
        _ => {
            let call = breaker.call_within(Duration::from_secs(2), || ready(outcome));
            !matches!(call.await, Err(CallError::Open(_)))
        }
    }
}

/// What one world comes to: calls that did not run, calls that would not have, and all that is told.
#[derive(Debug, PartialEq)]
struct Tale {
    rejected: Vec<usize>,
    states: Vec<CircuitState>,
    transitions: Vec<(CircuitState, CircuitState, Option<i64>)>,
    record: Option<(CircuitState, Option<i64>, Option<i64>)>,
}

/// Two processes under the same calls at the same times, of a dependency that is down by spans.
async fn tell(seed: u64, dry_run: bool) -> Tale {
    let mut dice = Rng::with_seed(seed);
    let (threshold, recovery) = (dice.u32(2..6), dice.u64(2..40));
    let (rules, ramps, grows) = (dice.bool(), dice.bool(), dice.bool());
    let settings = |config: ConfigBuilder| {
        let config = config
            .failure_threshold(threshold)
            .recovery_timeout(Duration::from_secs(recovery))
            .election_spread(Duration::ZERO)
            .dry_run(dry_run);
        let config = if rules { config.also_trip(Rule::of_last(4, 9)) } else { config };
        let config = if ramps { config.ramp(Duration::from_secs(20)) } else { config };
        let backoff = Backoff::exponential(2.0);
        if grows { config.open_backoff(backoff) } else { config }
    };
    let world = World::with(settings);
    let processes = world.processes(2);
    let mut transitions: Vec<_> =
        processes.iter().map(|process| process.registry.subscribe()).collect();
    let breakers: Vec<_> = processes.iter().map(|process| process.breaker()).collect();
    let (mut rejected, mut states, mut is_down) = (Vec::new(), Vec::new(), false);
    for number in 0..400 {
        is_down ^= dice.u32(0..25) == 0;
        let is_good = !is_down && dice.u32(0..12) > 0;
        let (breaker, way) = (&breakers[dice.usize(0..2)], dice.u32(0..6));
        let before = breaker.would_have_rejected();
        let ran = call(breaker, way, is_good).await;
        assert!(ran || !dry_run, "every call runs");
        if !ran || breaker.would_have_rejected() > before {
            rejected.push(number);
        }
        pass(f64::from(dice.u32(0..1_800)) / 1_000.0).await;
        states.push(breaker.state());
    }
    let transitions = transitions.iter_mut().flat_map(heard).map(|told| {
        assert_eq!(told.dry_run, dry_run);
        (told.from_state, told.to_state, told.opened_at)
    });
    let transitions = transitions.collect();
    let record = world.engine.record(if dry_run { SHADOW } else { CIRCUIT });
    assert!(world.engine.record(if dry_run { CIRCUIT } else { SHADOW }).is_none());
    let total: u64 = breakers.iter().map(Breaker::would_have_rejected).sum();
    assert_eq!(total, if dry_run { u64::try_from(rejected.len()).unwrap() } else { 0 });
    let record = record.map(|record| {
        let state = *record.state.valid().unwrap();
        (state, record.opened_at.valid().copied(), record.expires_at.valid().copied())
    });
    Tale { rejected, states, transitions, record }
}

/// A seed that failed is played again by `FUSEBOARD_SEED=n cargo test --test it case_136_every`.
#[tokio::test(start_paused = true)]
async fn case_136_every_call_runs_and_the_counts_are_those_of_an_enforcing_process() {
    let asked = env::var("FUSEBOARD_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = asked.map_or_else(|| 0..25, |seed: u64| seed..seed + 1);
    let mut rejected = 0;
    for seed in seeds {
        let (enforced, tried) = (tell(seed, false).await, tell(seed, true).await);
        assert_eq!(tried, enforced, "FUSEBOARD_SEED={seed}");
        rejected += tried.rejected.len();
    }
    assert!(asked.is_some() || rejected > 1_000, "{rejected}");
}

fn trying() -> World {
    World::with(|config| config.dry_run(true))
}

#[tokio::test(start_paused = true)]
async fn case_136_what_is_tried_says_so() {
    let lines = Lines::of(tracing::Level::INFO);
    let process = trying().process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    for _ in 0..20 {
        assert!(fail(&breaker).await.unwrap_err().inner().is_some());
    }
    assert_eq!((breaker.state(), breaker.would_have_rejected()), (CircuitState::Open, 15));
    assert!(breaker.snapshot().is_dry_run());
    assert_eq!(breaker.snapshot().circuit().name.as_str(), CIRCUIT);
    assert!(heard(&mut transitions).iter().all(|told| told.dry_run));
    assert!(lines.take_texts().iter().any(|line| line.contains("dry_run=true")), "the log says so");
    let enforced = World::new().process().breaker();
    assert!(!enforced.snapshot().is_dry_run() && enforced.would_have_rejected() == 0);
}

#[tokio::test(start_paused = true)]
async fn case_136_calls_that_would_have_been_rejected_count_for_nothing() {
    let process = trying().process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let _ = fail(&breaker).await;
    }
    let counts_for_nothing = breaker.try_admit().unwrap();
    assert!(!counts_for_nothing.is_probe());
    pass(31.0).await;
    let probe = breaker.admit().await.unwrap();
    assert!(probe.is_probe());
    // They end while a probe runs, and after the closing.
    counts_for_nothing.failure();
    let late = breaker.try_admit().unwrap();
    probe.success().settled().await;
    for _ in 0..2 {
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    late.failure();
    for _ in 0..4 {
        assert!(fail(&breaker).await.is_err());
    }
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.would_have_rejected(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_136_a_hold_is_tried_too_and_a_call_waits_for_nothing_longer() {
    let world = trying();
    let process = world.process();
    let breaker = process.breaker();
    breaker
        .hold(Hold::open(world.clock.wall() + Duration::from_secs(60)).reason("deploy"))
        .await
        .unwrap();
    assert!(world.engine.record(CIRCUIT).is_none());
    assert!(world.engine.record(SHADOW).unwrap().is_held());
    let (result, took) = timed(succeed(&breaker)).await;
    assert_eq!((result, took), (Ok(42), Duration::ZERO));
    assert_eq!(breaker.would_have_rejected(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_136_the_tower_layer_lets_every_request_through() {
    let process = trying().process();
    let breaker = process.breaker();
    let service =
        service_fn(|is_good: bool| ready(if is_good { Ok::<_, &str>(7) } else { Err("down") }));
    let mut service =
        ServiceBuilder::new().layer(BreakerLayer::new(breaker.clone())).service(service);
    for number in 0..20 {
        let result = service.ready().await.unwrap().call(number % 2 == 1 && number > 9).await;
        assert!(result.err().is_none_or(|error| OpenError::find(&*error).is_none()), "{number}");
    }
    assert_eq!((breaker.state(), breaker.would_have_rejected()), (CircuitState::Open, 15));
}

#[tokio::test(start_paused = true)]
async fn case_136_a_layer_that_never_waits_waits_for_its_inner_service() {
    let process = trying().process();
    let breaker = process.breaker();
    while breaker.state() == CircuitState::Closed {
        let _ = fail(&breaker).await;
    }
    let inner = ServiceBuilder::new()
        .concurrency_limit(1)
        .service(service_fn(|()| async { std::future::pending::<Result<(), &str>>().await }));
    let layer = BreakerLayer::new(breaker.clone()).never_waiting();
    let mut service = ServiceBuilder::new().layer(layer).service(inner);
    let under_way = service.ready().await.unwrap().call(());
    let next = futures::poll!(service.ready());
    assert!(next.is_pending(), "rejected by a circuit that is only tried");
    drop(under_way);
    assert!(futures::poll!(service.ready()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_circuit_whose_trial_begins_or_ends_keeps_its_settings_and_the_others_follow() {
    let process = World::new().process();
    let registry = &process.registry;
    let tried = |pattern: &str, dry_run| {
        let threshold = |config: ConfigBuilder| config.failure_threshold(1);
        let settings = Settings::builder().defaults(threshold(Config::builder()));
        settings.circuit(pattern, move |config| config.dry_run(dry_run)).build().unwrap()
    };
    let [breaker, mail] = ["payments-eu", "mail"].map(|name| registry.breaker(name).unwrap());
    let lines = Lines::of(tracing::Level::WARN);
    let done = registry.reconfigure(&tried("payments*", true)).unwrap();
    let names =
        |names: &[CircuitName]| -> Vec<_> { names.iter().map(ToString::to_string).collect() };
    assert_eq!(names(&done.changed), ["mail"], "the urgent threshold beside it");
    assert_eq!(names(&done.needs_restart), ["payments-eu"]);
    let [line] = &lines.take_texts()[..] else { panic!("one line") };
    assert!(line.contains("circuit=payments-eu") && line.contains("dry_run cannot"), "{line}");
    // A threshold that is meant to be tried is not enforced.
    assert!(fail(&mail).await.is_err() && fail(&breaker).await.is_err());
    assert_eq!((mail.state(), breaker.state()), (CircuitState::Open, CircuitState::Closed));
    assert_eq!(breaker.config().failure_threshold().get(), 5);
    // New circuits have what was given.
    let new = registry.breaker("payments-us").unwrap();
    assert!(new.config().dry_run() && new.snapshot().is_dry_run());
    let done = registry.reconfigure(&tried("payments*", false)).unwrap();
    assert_eq!(names(&done.needs_restart), ["payments-us"]);
    assert_eq!(names(&done.changed), ["payments-eu"], "as before, with the threshold");
    assert!(new.config().dry_run());
}

#[tokio::test(start_paused = true)]
async fn names_of_items_beside_a_circuit_are_no_names_of_circuits() {
    let config = Config::builder().dry_run(true).build().unwrap();
    let builder = BreakerRegistry::builder(MemoryStore::new()).config(config).disabled(false);
    let registry = builder.spawn().unwrap();
    for suffix in ["#dry-run", "#votes"] {
        let refused = registry.breaker(format!("payments{suffix}")).unwrap_err();
        assert_eq!(refused, RegistryError::Name(NameError::Reserved { suffix }));
    }
    let too_long = registry.breaker("n".repeat(2_041)).unwrap_err();
    assert_eq!(too_long, RegistryError::Name(NameError::TooLong { bytes: 2_049 }));
    assert!(CircuitName::new("n".repeat(2_048)).is_ok());
}

#[tokio::test(start_paused = true)]
async fn case_136_a_hold_of_a_circuit_in_a_dry_run_is_told_as_any_other() {
    let lines = Lines::of(tracing::Level::INFO);
    let world = World::with(|config| config.dry_run(true));
    let process = world.process();
    let circuit = process.circuit();
    circuit.hold(Hold::closed_for(Duration::from_secs(60)).reason("no")).await.unwrap();
    circuit.release().await.unwrap();
    let told = process.transitions();
    let causes: Vec<_> = told.iter().map(|told| (&told.cause, told.dry_run)).collect();
    assert_eq!(causes, [(&Cause::Hold, true), (&Cause::Release, true)]);
    let lines = lines.take_texts();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("hold_reason=\"no\" hold_until=1000060 dry_run=true"))
    );
}
