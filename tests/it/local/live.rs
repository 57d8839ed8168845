//! Settings that change while calls run.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use fuseboard::{
    BreakerRegistry, CircuitState, Config, ConfigBuilder, MemoryStore, OnStoreOutage, Reason,
    RegistryError, Rule, Settings, VirtualClock,
};
use tokio::task::JoinSet;

use crate::support::memory::{World, fail, heard, is_rejected, pass, settle, succeed, trip};

fn all(change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Settings {
    Settings::builder().defaults(change(Config::builder())).build().unwrap()
}

fn named(pattern: &str, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder + 'static) -> Settings {
    Settings::builder().circuit(pattern, change).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_143_a_lower_threshold_trips_at_the_next_failure_and_no_sooner() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        assert!(fail(&breaker).await.is_err());
    }
    let lower = named("payment*", |config| config.failure_threshold(3));
    let done = process.registry.reconfigure(&lower).unwrap();
    assert_eq!(done.changed.len(), 1);
    settle().await;
    pass(1.0).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert!(fail(&breaker).await.unwrap_err().inner().is_some(), "its own error");
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(breaker.snapshot().circuit().failure_count, 5);
}

#[tokio::test(start_paused = true)]
async fn case_140_the_next_probe_is_due_by_the_new_recovery_timeout() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    let recovering_in = |seconds| all(|c| c.recovery_timeout(Duration::from_secs(seconds)));
    pass(5.0).await;
    process.registry.reconfigure(&recovering_in(60)).unwrap();
    pass(54.0).await;
    assert!(is_rejected(&succeed(&breaker).await));
    process.registry.reconfigure(&recovering_in(10)).unwrap();
    settle().await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn case_140_a_rejection_tells_the_new_wait_and_no_call_is_needed_for_it() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    let shorter = all(|config| config.recovery_timeout(Duration::from_secs(8)));
    process.registry.reconfigure(&shorter).unwrap();
    settle().await;
    let wait = breaker.try_admit().unwrap_err().retry_after();
    assert!(wait <= Duration::from_secs(8) && wait > Duration::from_secs(6), "{wait:?}");
}

/// The whole of a probe's life under settings that change in the middle of it.
#[tokio::test(start_paused = true)]
async fn case_141_a_probe_that_runs_keeps_its_lease_through_shorter_settings() {
    let world = World::new();
    let (one, two) = (world.process(), world.process());
    let (breaker, other) = (one.breaker(), two.breaker());
    trip(&breaker).await;
    pass(31.0).await;
    let mut calls = JoinSet::new();
    let probing = breaker.clone();
    calls.spawn(async move {
        let call = || async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            Ok::<_, &str>(7)
        };
        probing.call(call).await.unwrap()
    });
    settle().await;
    assert!(is_rejected(&succeed(&other).await));
    for process in [&one, &two] {
        let shorter =
            all(|c| c.probe_lease(Duration::from_secs(2)).election_spread(Duration::ZERO));
        process.registry.reconfigure(&shorter).unwrap();
    }
    for _ in 0..99 {
        pass(1.0).await;
        assert!(is_rejected(&succeed(&other).await));
        assert!(is_rejected(&succeed(&breaker).await));
    }
    pass(2.0).await;
    assert_eq!(calls.join_next().await.unwrap().unwrap(), 7);
    pass(2.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42), "one good probe, and the next");
}

#[tokio::test(start_paused = true)]
async fn case_142_settings_that_are_invalid_change_nothing_and_name_the_path_and_the_value() {
    let process = World::new().process();
    let breaker = process.breaker();
    let refused = Settings::builder()
        .defaults(Config::builder().failure_threshold(1))
        .circuit("payments*", |config| config.recovery_timeout(Duration::ZERO))
        .build()
        .unwrap_err();
    assert_eq!(refused.path(), "circuits.payments*.recovery_timeout");
    assert_eq!((refused.field(), refused.value()), ("recovery_timeout", "0ns"));
    let text = "circuits.payments*.recovery_timeout must be between 1 s and 365 days, got 0ns";
    assert_eq!(refused.to_string(), text);
    let refused = Settings::builder().defaults(Config::builder().failure_threshold(0)).build();
    assert_eq!(refused.unwrap_err().path(), "default.failure_threshold");
    for _ in 0..4 {
        assert!(fail(&breaker).await.is_err());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_142_settings_that_one_circuit_cannot_have_change_none() {
    let registry = World::new().process().registry;
    let long = "n".repeat(2_048);
    let names = ["payments", "mail", &long];
    let breakers = names.map(|name| registry.breaker(name).unwrap());
    let before = breakers.each_ref().map(fuseboard::Breaker::config);
    let refused = Settings::builder()
        .defaults(Config::builder().failure_threshold(1))
        .circuit("nn*", |config| config.also_trip(Rule::votes(5, 2)))
        .build()
        .unwrap();
    for _ in 0..2 {
        let error = registry.reconfigure(&refused).unwrap_err();
        assert_eq!(
            (error.path(), error.value()),
            ("circuits.nn*.also_trip".into(), &*format!("{long:?}"))
        );
        assert!(error.to_string().contains("leaves no room in the key"), "{error}");
    }
    settle().await;
    assert_eq!(breakers.each_ref().map(fuseboard::Breaker::config), before);
    let new = registry.breaker("new").unwrap();
    for breaker in [&breakers[0], &breakers[1], &breakers[2], &new] {
        assert!(fail(breaker).await.is_err());
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn patterns_are_names_or_prefixes_and_each_stands_once() {
    for pattern in ["", "pay*ments", "**", "a*b*"] {
        let refused = Settings::builder().circuit(pattern, |config| config).build().unwrap_err();
        assert_eq!(
            (refused.path(), refused.value()),
            ("circuits".into(), &*format!("{pattern:?}"))
        );
    }
    let twice = Settings::builder().circuit("a*", |config| config).circuit("a*", |config| config);
    assert!(twice.build().unwrap_err().to_string().contains("each name and prefix once"));
    let threshold = |count| move |config: ConfigBuilder| config.failure_threshold(count);
    let settings = Settings::builder()
        .circuit("*", threshold(2))
        .circuit("pay*", threshold(3))
        .circuit("payments-*", threshold(4))
        .circuit("payments-eu", threshold(6))
        .build()
        .unwrap();
    for (name, expected) in [("payments-eu", 6), ("payments-eux", 4), ("payers", 3), ("mail", 2)] {
        assert_eq!(settings.of(name).failure_threshold().get(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_finds_its_settings_and_one_with_its_own_keeps_them() {
    let settings = named("pay*", |config| config.failure_threshold(2));
    let registry = BreakerRegistry::builder(MemoryStore::new()).settings(settings).disabled(false);
    let registry = registry.spawn().unwrap();
    let breaker = registry.breaker("payments").unwrap();
    let own = Config::builder().failure_threshold(3).build().unwrap();
    let bank = registry.breaker_with("bank", own.clone()).unwrap();
    let done = registry.reconfigure(&all(|config| config.failure_threshold(1))).unwrap();
    let names = |names: &[fuseboard::CircuitName]| -> Vec<String> {
        names.iter().map(|name| name.as_str().to_owned()).collect()
    };
    assert_eq!(
        (names(&done.changed), names(&done.kept)),
        (vec!["payments".into()], vec!["bank".into()])
    );
    assert!(fail(&breaker).await.is_err() && fail(&bank).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Open, "made before, it sees the new settings");
    assert_eq!(bank.state(), CircuitState::Closed);
    // Whoever names no settings gets the circuit as it runs.
    assert!(registry.breaker("bank").is_ok());
    assert!(registry.breaker_with("bank", own).is_ok());
    let other = Config::builder().failure_threshold(4).build().unwrap();
    let mismatch = registry.breaker_with("payments", other).unwrap_err();
    let RegistryError::ConfigMismatch { differences, .. } = mismatch else { panic!("{mismatch}") };
    assert_eq!((differences[0].running(), differences[0].requested()), ("1", "4"));
    // What is asked for with settings of its own keeps them from then on.
    let pinned = Config::builder().failure_threshold(1).build().unwrap();
    registry.breaker_with("payments", pinned).unwrap();
    let done = registry.reconfigure(&all(|config| config)).unwrap();
    assert_eq!((done.changed.len(), done.kept.len()), (0, 2));
    // Circuits that are new have the newest settings.
    let mail = registry.breaker("mail").unwrap();
    assert!(fail(&mail).await.is_err());
    assert_eq!(mail.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_139_a_circuit_whose_settings_stay_is_not_disturbed_and_no_call_reads_for_it() {
    let world = World::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    succeed(&breaker).await.unwrap();
    let epoch = breaker.snapshot().epoch();
    for threshold in 6..100 {
        let settings = named("other*", move |config| {
            config.failure_threshold(threshold).election_spread(Duration::ZERO)
        });
        let _ = process.registry.reconfigure(&settings).unwrap();
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    let other = all(|config| {
        let rule = Rule::within(50, Duration::from_secs(60));
        config.on_store_outage(OnStoreOutage::Protect).also_trip(rule)
    });
    process.registry.reconfigure(&other).unwrap();
    settle().await;
    assert_eq!(breaker.snapshot().epoch(), epoch);
    assert_eq!(process.store.log(), ["read"]);
    assert!(heard(&mut transitions).is_empty());
}

/// Settings that differ from change to change. Not one of them is met by one failure in a row.
fn changing(number: u32) -> Settings {
    let seconds = Duration::from_secs(u64::from(20 + number % 7));
    all(|config| {
        config
            .failure_threshold(4 + number % 3)
            .failure_window(seconds)
            .also_trip(Rule::of_last(6 + number % 2, 10))
            .recovery_timeout(seconds)
            .success_threshold(1 + number % 4)
            .store_timeout(Duration::from_millis(u64::from(500 + number % 100)))
            .local_cache_max_age(Duration::from_secs(60 + u64::from(number % 5)))
    })
}

/// Settings come and go as fast as they can, while threads call.
#[test]
fn case_139_a_thousand_changes_under_load_lose_nothing_and_change_no_state() {
    const CHANGES: u32 = 1_000;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let registry = runtime.block_on(async {
        let builder = BreakerRegistry::builder(MemoryStore::new()).clock(&clock);
        builder.disabled(false).spawn().unwrap()
    });
    let mut transitions = registry.subscribe();
    let [calm, open] = ["calm", "open"].map(|name| registry.breaker(name).unwrap());
    runtime.block_on(async {
        calm.admit().await.unwrap().success();
        trip(&open).await;
    });
    heard(&mut transitions);
    let (is_over, admitted, rejected) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    match calm.try_admit() {
                        Ok(permit) => drop(permit.success()),
                        Err(refused) => panic!("{:?} of a closed circuit", refused.reason()),
                    }
                    admitted.fetch_add(1, Ordering::Relaxed);
                    let refused = open.try_admit().unwrap_err();
                    assert_eq!(refused.reason(), Reason::Tripped);
                    rejected.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 0..CHANGES {
            let done = registry.reconfigure(&changing(number)).unwrap();
            assert_eq!(done.changed.len(), 2);
            let failing = calm.try_admit().unwrap();
            failing.failure();
            calm.try_admit().unwrap().success();
            let before = admitted.load(Ordering::Relaxed);
            while admitted.load(Ordering::Relaxed) < before + 20 {
                std::thread::yield_now();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(admitted.into_inner() >= 20_000 && rejected.into_inner() > 0);
    assert_eq!((calm.state(), open.state()), (CircuitState::Closed, CircuitState::Open));
    assert!(heard(&mut transitions).is_empty(), "nothing is told that settings do not cause");
    runtime.block_on(all_goes_on(&registry, &clock, [&calm, &open]));
    assert_eq!(heard(&mut transitions).len(), 3);
}

/// All that stands is counted by the newest settings, and every permit has come back.
async fn all_goes_on(
    registry: &BreakerRegistry,
    clock: &VirtualClock,
    [calm, open]: [&fuseboard::Breaker; 2],
) {
    registry.reconfigure(&all(|config| config.failure_threshold(2))).unwrap();
    calm.admit().await.unwrap().success();
    calm.admit().await.unwrap().failure().settled().await;
    assert_eq!(calm.state(), CircuitState::Closed);
    calm.admit().await.unwrap().failure().settled().await;
    assert_eq!(calm.state(), CircuitState::Open);
    clock.advance(Duration::from_secs(60));
    for _ in 0..3 {
        open.admit().await.unwrap().success().settled().await;
    }
    assert_eq!(open.state(), CircuitState::Closed, "every permit came back");
}

/// Nothing else is published for it: the circuit is closed and ramping before and after.
#[tokio::test(start_paused = true)]
async fn a_ramp_of_another_length_admits_its_own_share_at_once() {
    let ramp = |seconds: u64| {
        let config = Config::builder().local_cache_max_age(Duration::from_secs(3_600));
        config.ramp(Duration::from_secs(seconds)).build().unwrap().into()
    };
    let process = World::new().process_with(|builder| builder.settings(ramp(600)));
    let breaker = process.breaker();
    trip(&breaker).await;
    breaker.release().await.unwrap();
    pass(61.0).await;
    let admitted = || (0..200).filter(|_| breaker.try_admit().is_ok()).count();
    assert_eq!(admitted(), 30, "the third step of twenty");
    process.registry.reconfigure(&ramp(6_000)).unwrap();
    settle().await;
    assert_eq!(admitted(), 10, "the first");
}

#[tokio::test(start_paused = true)]
async fn calls_that_run_are_slow_and_cancelled_by_the_newest_settings() {
    let world = World::with(|config| config.failure_threshold(2));
    let process = world.process();
    let breaker = process.breaker();
    let newest = all(|config| {
        config.failure_threshold(2).slow_after(Duration::from_secs(2)).count_cancelled(true)
    });
    process.registry.reconfigure(&newest).unwrap();
    drop(breaker.admit().await.unwrap());
    let mut calls = JoinSet::new();
    let hanging = breaker.clone();
    calls.spawn(async move { hanging.call(std::future::pending::<Result<(), &str>>).await });
    pass(2.1).await;
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Open, "one was dropped, and one is slow");
}
