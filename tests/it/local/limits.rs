//! Names, and settings at their edges.

use std::time::Duration;

use fuseboard::{
    Breaker, BreakerRegistry, CircuitState, Classifier, Config, ConfigBuilder, MAX_NAME_BYTES,
    MemoryStore, NameError, OnStoreOutage, RegistryError, SpawnError,
};

use crate::support::memory::{CIRCUIT, World, fail, pass, recover, succeed, timed, trip};

#[tokio::test(start_paused = true)]
async fn names_of_1_and_2_048_bytes_work_and_others_are_refused() {
    let world = World::new();
    let registry = world.process().registry;
    for name in ["x".to_owned(), "x".repeat(MAX_NAME_BYTES), "ö".repeat(MAX_NAME_BYTES / 2)] {
        trip(&registry.breaker(&name).unwrap()).await;
        assert!(world.engine.record(&name).is_some());
    }
    let refused = |name: &str| registry.breaker(name).unwrap_err();
    assert_eq!(refused(""), RegistryError::Name(NameError::Empty));
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    assert_eq!(refused(&long), RegistryError::Name(NameError::TooLong { bytes: 2_049 }));
    assert_eq!(refused(&long).to_string(), "a circuit name has at most 2,048 bytes, got 2049");
    assert_eq!(registry.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn case_78_a_hundred_thousand_names_forget_no_opening_and_leave_nothing_else() {
    const NAMES: usize = 100_000;
    const AT_ONCE: usize = 2_000;
    let world = World::with(|config| {
        config.failure_threshold(1).recovery_timeout(Duration::from_secs(3_600))
    });
    let registry = world.process().registry;
    let opens = |number: &usize| number.is_multiple_of(1_000);
    let mut most = 0;
    for first in (0..NAMES).step_by(AT_ONCE) {
        for number in first..first + AT_ONCE {
            // Nobody keeps a handle.
            let breaker = registry.breaker(format!("tenant-{number}")).unwrap();
            let _ = breaker.try_admit().map(|permit| match opens(&number) {
                true => permit.failure(),
                false => permit.success(),
            });
        }
        most = most.max(registry.len());
        // What is known of the closed ones is too old to matter.
        pass(6.0).await;
    }
    let open: Vec<_> = (0..NAMES).filter(opens).collect();
    assert!(most <= AT_ONCE + open.len(), "{most} circuits at once");
    assert_eq!(registry.len(), open.len(), "the open ones, and no other");
    for number in open {
        let breaker = registry.breaker(format!("tenant-{number}")).unwrap();
        assert_eq!(breaker.snapshot().state(), CircuitState::Open, "tenant-{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_circuit_has_one_configuration() {
    let world = World::new();
    let registry = world.process().registry;
    let own = Config::builder().failure_threshold(1).build().unwrap();
    let breaker = registry.breaker_with("own", own.clone()).unwrap();
    let _ = fail(&breaker).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open, "by its own settings");
    assert!(registry.breaker_with("own", own).is_ok());
    assert!(registry.breaker("own").is_ok(), "who names no settings asks for none");
    let default = Config::builder().build().unwrap();
    assert!(registry.breaker_with("own", default.clone()).is_err());
    assert!(registry.breaker_with("plain", default).is_ok());
    assert!(registry.breaker("plain").is_ok(), "equal settings are the same settings");
}

/// Changes one setting.
type Change = fn(ConfigBuilder) -> ConfigBuilder;

#[tokio::test(start_paused = true)]
async fn case_162_a_mismatch_names_every_setting_that_differs_and_both_values() {
    const LONGER: Duration = Duration::from_millis(29_500);
    let changes: &[(&str, Change)] = &[
        ("failure_threshold", |config| config.failure_threshold(4)),
        ("recovery_timeout", |config| config.recovery_timeout(LONGER)),
        ("success_threshold", |config| config.success_threshold(4)),
        ("local_cache_max_age", |config| config.local_cache_max_age(LONGER)),
        ("refresh_ahead", |config| config.refresh_ahead(false)),
        ("probe_lease", |config| config.probe_lease(LONGER)),
        ("handoff", |config| config.handoff(Duration::from_secs(2))),
        ("election_spread", |config| config.election_spread(Duration::from_millis(700))),
        ("probe_limit", |config| config.probe_limit(Duration::from_secs(3_600))),
        ("store_timeout", |config| config.store_timeout(Duration::from_secs(2))),
        ("on_store_outage", |config| config.on_store_outage(OnStoreOutage::Protect)),
        ("max_clock_skew", |config| config.max_clock_skew(LONGER)),
        ("await_trip_write", |config| config.await_trip_write(false)),
        ("count_cancelled", |config| config.count_cancelled(true)),
    ];
    let registry = World::new().process().registry;
    let _running = registry.breaker(CIRCUIT).unwrap();
    let mismatch = |config: Config| {
        let refused = registry.breaker_with(CIRCUIT, config).unwrap_err();
        let RegistryError::ConfigMismatch { name, differences } = refused else {
            panic!("{refused}");
        };
        (name, differences)
    };
    for (setting, change) in changes {
        let (name, differences) = mismatch(change(Config::builder()).build().unwrap());
        assert_eq!(name.as_str(), CIRCUIT);
        let found = differences.iter().find(|difference| difference.setting() == *setting);
        let found = found.unwrap();
        assert_ne!(found.running(), found.requested());
        let others: Vec<_> = differences.iter().map(|difference| difference.setting()).collect();
        // Defaults follow the recovery timeout and the lease.
        let follow = ["election_spread", "probe_lease", "probe_limit"];
        assert!(
            others.iter().all(|other| other == setting || follow.contains(other)),
            "{others:?}"
        );
    }
    let all = changes.iter().fold(Config::builder(), |config, (_, change)| change(config));
    assert_eq!(mismatch(all.clone().build().unwrap()).1.len(), changes.len());
    let text = registry.breaker_with(CIRCUIT, all.build().unwrap()).unwrap_err().to_string();
    assert!(text.contains("recovery_timeout is 30s, requested is 29.5s"), "{text}");
    assert!(text.contains("failure_threshold is 5, requested is 4"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn case_77_a_subscription_without_room_is_refused() {
    for capacity in [0, usize::MAX] {
        let builder = BreakerRegistry::builder(MemoryStore::new()).transition_capacity(capacity);
        let Err(SpawnError::Config(error)) = builder.disabled(false).spawn() else {
            panic!("{capacity} is no capacity");
        };
        assert_eq!(error.field(), "transition_capacity");
        assert_eq!(error.value(), capacity.to_string());
    }
}

#[test]
fn case_77_a_classifier_with_both_lists_is_refused() {
    let counts = |result: &Result<u16, &str>| result.is_err();
    let ignores = |result: &Result<u16, &str>| *result == Ok(404);
    let builder = Classifier::builder;
    let both = builder().count_if(counts).ignore_if(ignores).build();
    let either_way = builder().ignore_if(ignores).count_if(counts).count_if(counts).build();
    for (refused, given) in [(both, "(1, 1)"), (either_way, "(2, 1)")] {
        let error = refused.unwrap_err();
        assert_eq!((error.field(), error.value()), ("classifier", given));
    }
    assert!(builder().count_if(counts).count_if(counts).build().is_ok(), "one list");
    assert!(builder().ignore_if(ignores).build().is_ok(), "the other");
    assert!(Classifier::<u16, &str>::builder().build().is_ok(), "none");
}

#[test]
fn a_registry_needs_a_runtime() {
    let spawned = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn();
    assert_eq!(spawned.unwrap_err(), SpawnError::NoRuntime);
}

async fn trips_and_recovers(breaker: &Breaker, after: f64) {
    assert_eq!(succeed(breaker).await, Ok(42));
    trip(breaker).await;
    pass(after).await;
    recover(breaker).await;
}

#[tokio::test(start_paused = true)]
async fn case_91_the_least_settings_work() {
    for age in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(1)] {
        let world = World::with(|config| {
            config
                .local_cache_max_age(age)
                .recovery_timeout(Duration::from_secs(1))
                .probe_lease(Duration::from_secs(1))
                .handoff(age)
                .max_clock_skew(age)
                .store_timeout(Duration::from_millis(1))
        });
        let process = world.process();
        trips_and_recovers(&process.breaker(), 1.0).await;
        // An actor that spun would starve the clock.
        let ((), waited) = timed(pass(3_600.0)).await;
        assert_eq!(waited.as_secs(), 3_600);
    }
}

#[tokio::test(start_paused = true)]
async fn case_91_the_greatest_settings_work() {
    let (day, year) = (Duration::from_secs(86_400), Duration::from_secs(365 * 86_400));
    let world = World::with(|config| {
        config
            .success_threshold(3)
            .local_cache_max_age(day)
            .recovery_timeout(year)
            .probe_lease(year)
            .handoff(year)
            .max_clock_skew(Duration::from_secs(3_600))
            .store_timeout(Duration::from_secs(60))
    });
    let process = world.process();
    trips_and_recovers(&process.breaker(), year.as_secs_f64()).await;
}

#[tokio::test(start_paused = true)]
async fn case_91_a_threshold_that_cannot_be_reached_never_trips() {
    let world = World::with(|config| config.failure_threshold(u32::MAX));
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5_000 {
        let _ = fail(&breaker).await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_91_an_unbounded_budget_is_a_budget() {
    let world = World::new();
    let process = world.process();
    trip(&process.breaker()).await;
    assert_eq!(process.registry.flush(Duration::MAX).await, Ok(()));
    assert_eq!(process.registry.shutdown(Duration::MAX).await, Ok(()));
}

#[test]
fn a_runtime_without_timer_is_named_when_spawning() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let refused = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn();
    assert_eq!(refused.err(), Some(SpawnError::NoTimer));
}
