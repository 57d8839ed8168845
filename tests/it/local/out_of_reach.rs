//! A store that is out of reach, for a whole process, for writes only, or for reads only.

use std::time::Duration;

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, CircuitState, Hold, OnStoreOutage, Origin,
    store::{Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Written},
};

use crate::support::{
    faulty::Fault,
    memory::{Process, World, fail, heard, is_rejected, pass, settle, succeed, timed, trip},
};

const UNAVAILABLE: Fault = Fault::Fail(StoreErrorKind::Unavailable);

fn breakers(process: &Process, count: usize) -> Vec<Breaker> {
    let name = |number: usize| format!("circuit-{number}");
    (0..count).map(|number| process.registry.breaker(name(number)).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn case_66_a_store_that_hangs_costs_a_process_one_wait_per_back_off() {
    let process = World::new().process();
    let breakers = breakers(&process, 20);
    process.store.meets(Fault::Hang);
    let (_, first) = timed(succeed(&breakers[0])).await;
    assert_eq!(first, Duration::from_secs(1));
    for breaker in &breakers {
        let (result, waited) = timed(succeed(breaker)).await;
        assert_eq!((result, waited), (Ok(42), Duration::ZERO));
    }
    assert_eq!(process.store.reads(), 1);

    // Every circuit has traffic for two minutes: back-offs of 1, 2, 4, 8, 16 and 30 s,
    // each shorter by up to a quarter, let at most ten operations find out.
    let mut waited = Duration::ZERO;
    for _ in 0..1_200 {
        for breaker in &breakers {
            waited += timed(succeed(breaker)).await.1;
        }
        pass(0.1).await;
    }
    let asked = process.store.log().len();
    assert!((5..=10).contains(&asked), "{asked} operations");
    assert!(waited <= Duration::from_secs(9), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn case_66_circuits_that_ask_together_wait_together() {
    let process = World::new().process();
    let breakers = breakers(&process, 50);
    process.store.meets(Fault::Hang);
    let calls = breakers.iter().map(succeed);
    let (results, waited) = timed(futures::future::join_all(calls)).await;
    assert!(results.iter().all(|result| *result == Ok(42)));
    assert_eq!(waited, Duration::from_secs(1));
    pass(1.0).await;
    let calls = breakers.iter().map(succeed);
    let (_, waited) = timed(futures::future::join_all(calls)).await;
    assert_eq!(waited, Duration::from_secs(1), "the one that tries");
    assert_eq!(process.store.reads(), 51);
}

#[tokio::test(start_paused = true)]
async fn case_66_in_an_outage_one_call_waits_for_each_attempt() {
    for policy in [OnStoreOutage::FailOpen, OnStoreOutage::Protect] {
        let process = World::with(|config| config.on_store_outage(policy)).process();
        let breaker = process.breaker();
        let protects = policy == OnStoreOutage::Protect;
        if protects {
            trip(&breaker).await;
            pass(6.0).await;
        }
        process.store.meets(Fault::Hang);
        let before = process.store.log().len();
        // The first is no outage yet: all who ask share its wait.
        for (back_off, waiting) in [(2.0, 50), (3.0, 50), (5.0, 1), (9.0, 1)] {
            let calls = (0..50).map(|_| timed(succeed(&breaker)));
            let called = futures::future::join_all(calls).await;
            let waited = called.iter().filter(|(_, waited)| *waited > Duration::ZERO).count();
            // Where all would be rejected, the one that asks waits a moment (case 199).
            assert_eq!(waited, if protects { 1 } else { waiting }, "{policy:?}");
            let longest =
                if protects { Duration::from_millis(100) } else { Duration::from_secs(1) };
            assert!(called.iter().all(|(_, waited)| *waited <= longest), "{policy:?}");
            assert!(called.iter().all(|(result, _)| is_rejected(result) == protects));
            pass(if protects { back_off + 1.0 } else { back_off }).await;
        }
        assert_eq!(process.store.log().len() - before, 4, "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_67_whoever_finds_the_store_back_goes_by_what_it_shows() {
    for calls in [1, 50] {
        let world = World::new();
        let (process, other) = (world.process(), world.process());
        let breaker = process.breaker();
        assert_eq!(succeed(&breaker).await, Ok(42));
        pass(6.0).await;
        process.store.meets(Fault::Hang);
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42));
            pass(5.0).await;
        }
        trip(&other.breaker()).await;
        process.store.meets(Fault::Delay(Duration::from_millis(20)));
        // A change that one read shows is confirmed by another.
        let called = futures::future::join_all((0..calls).map(|_| succeed(&breaker))).await;
        let admitted = called.iter().filter(|result| !is_rejected(result)).count();
        assert_eq!(admitted, calls - 1, "all but the one that looks go by what was known");
        settle().await;
        assert!(is_rejected(&succeed(&breaker).await));
    }
}

#[tokio::test(start_paused = true)]
async fn writes_that_failed_long_ago_make_nobody_act_on_what_is_stale() {
    let world = World::new();
    let (process, other) = (world.process(), world.process());
    let breaker = process.breaker();
    process.store.writes_meet(UNAVAILABLE);
    trip(&breaker).await;
    pass(2.0).await;
    assert!(is_rejected(&succeed(&breaker).await));
    pass(5.0).await;
    // Open here alone; another closes and opens it, which a read shows.
    trip(&other.breaker()).await;
    other.breaker().release().await.unwrap();
    pass(40.0).await;
    process.store.reads_meet(Fault::Delay(Duration::from_millis(20)));
    for _ in 0..3 {
        let _ = succeed(&breaker).await;
        pass(1.0).await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    trip(&other.breaker()).await;
    pass(6.0).await;
    let called = futures::future::join_all((0..50).map(|_| succeed(&breaker))).await;
    assert!(called.iter().all(is_rejected), "all share the read");
}

#[tokio::test(start_paused = true)]
async fn a_hold_outlasts_a_store_that_cannot_be_read() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    breaker
        .hold(Hold::open(world.clock.wall() + Duration::from_secs(3_600)).reason("maintenance"))
        .await
        .unwrap();
    for fault in [UNAVAILABLE, Fault::Hang] {
        process.store.meets(fault);
        for _ in 0..20 {
            pass(80.0).await;
            assert!(is_rejected(&succeed(&breaker).await), "it is held");
        }
    }
    pass(600.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42), "its time is over");
}

#[tokio::test(start_paused = true)]
async fn case_67_every_circuit_comes_back_with_the_store() {
    let world = World::new();
    let process = world.process();
    let breakers = breakers(&process, 20);
    process.store.meets(Fault::Hang);
    for breaker in &breakers {
        trip(breaker).await;
        assert!(is_rejected(&succeed(breaker).await), "protected without the store");
    }
    process.store.meets(Fault::None);
    pass(40.0).await;
    let elsewhere = world.process();
    for breaker in &breakers {
        let other = elsewhere.registry.breaker(breaker.name().as_str()).unwrap();
        settle().await;
        let _ = succeed(&other).await;
        assert_ne!(other.snapshot().state(), CircuitState::Closed, "the opening was offered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_one_item_does_not_keep_other_circuits_from_the_store() {
    for kind in
        [StoreErrorKind::Throttled, StoreErrorKind::Misconfigured, StoreErrorKind::BadAnswer]
    {
        let process = World::new().process();
        let breakers = breakers(&process, 2);
        process.store.meets(Fault::Fail(kind));
        for _ in 0..3 {
            assert_eq!(succeed(&breakers[0]).await, Ok(42));
        }
        process.store.meets(Fault::None);
        let before = process.store.reads();
        assert_eq!(succeed(&breakers[1]).await, Ok(42));
        assert_eq!(process.store.reads(), before + 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_does_not_wait_for_a_back_off_of_the_process() {
    let world = World::new();
    let process = world.process();
    let breakers = breakers(&process, 2);
    process.store.meets(Fault::Hang);
    assert_eq!(succeed(&breakers[0]).await, Ok(42));
    process.store.meets(Fault::None);
    breakers[1]
        .hold(Hold::open(world.clock.wall() + Duration::from_secs(60)).reason("maintenance"))
        .await
        .unwrap();
    assert!(is_rejected(&succeed(&breakers[1]).await));
}

/// Writes fail for ever, reads do not: the circuit must still recover.
#[tokio::test(start_paused = true)]
async fn a_circuit_recovers_though_no_write_ever_lands() {
    let kinds = [StoreErrorKind::Unavailable, StoreErrorKind::BadAnswer];
    for fault in kinds.map(Fault::Fail).into_iter().chain([Fault::Hang, Fault::Panic]) {
        for policy in [OnStoreOutage::FailOpen, OnStoreOutage::Protect] {
            let process = World::with(|config| config.on_store_outage(policy)).process();
            let breaker = process.breaker();
            process.store.writes_meet(fault);
            trip(&breaker).await;
            pass(30.0).await;
            let mut answered = 0;
            for _ in 0..30 {
                answered += usize::from(succeed(&breaker).await == Ok(42));
                pass(1.0).await;
            }
            assert!(
                answered >= 24,
                "{fault:?} {policy:?}: {answered} of 30 calls were let through"
            );
        }
    }
}

/// The record is open, and nobody can write that the dependency is back.
#[tokio::test(start_paused = true)]
async fn a_circuit_opened_elsewhere_recovers_though_no_write_ever_lands() {
    let kinds = [StoreErrorKind::Unavailable, StoreErrorKind::BadAnswer];
    for fault in kinds.map(Fault::Fail).into_iter().chain([Fault::Hang, Fault::Panic]) {
        for pause in [0.5, 1.0, 6.0, 11.0] {
            let (_world, process) = opened_elsewhere().await;
            let breaker = process.breaker();
            process.store.writes_meet(fault);
            pass(31.0).await;
            let mut answered = 0;
            for _ in 0..40 {
                answered += usize::from(succeed(&breaker).await == Ok(42));
                pass(pause).await;
            }
            // One call for each back-off waits for an election that fails, and is rejected.
            assert!(
                answered >= 27,
                "{fault:?} every {pause} s: {answered} of 40 calls were let through"
            );
        }
    }
}

/// A circuit that another process opened just now, and this one has seen open.
async fn opened_elsewhere() -> (World, Process) {
    let world = World::new();
    trip(&world.process().breaker()).await;
    let process = world.process();
    assert!(is_rejected(&succeed(&process.breaker()).await));
    (world, process)
}

/// Throttling is an answer: the store is alive, and others may be probing.
#[tokio::test(start_paused = true)]
async fn case_193_while_writes_are_throttled_nobody_probes_alone() {
    for pause in [0.5, 1.0, 6.0, 11.0] {
        let (world, process) = opened_elsewhere().await;
        let mut transitions = process.registry.subscribe();
        let breaker = process.breaker();
        process.store.writes_meet(Fault::Fail(StoreErrorKind::Throttled));
        pass(31.0).await;
        for _ in 0..40 {
            let (result, waited) = timed(succeed(&breaker)).await;
            assert!(is_rejected(&result), "every {pause} s");
            assert_eq!(waited, Duration::ZERO, "every {pause} s");
            pass(pause).await;
        }
        assert!(heard(&mut transitions).is_empty(), "every {pause} s");
        process.store.writes_meet(Fault::None);
        // The longest back-off is the age of what is known.
        pass(5.0).await;
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42), "every {pause} s");
        }
        assert_eq!(world.stored_state(), Some(CircuitState::Closed), "every {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_dependency_stays_protected_though_no_write_ever_lands() {
    let world = World::new();
    trip(&world.process().breaker()).await;
    let process = world.process();
    let breaker = process.breaker();
    assert!(is_rejected(&fail(&breaker).await));
    process.store.writes_meet(Fault::Hang);
    let mut leaked = 0;
    for _ in 0..300 {
        leaked += usize::from(fail(&breaker).await == Err(fuseboard::CallError::Inner("down")));
        pass(1.0).await;
    }
    assert!(leaked <= 5 + 10, "T, and one probe for each R: {leaked} calls");
}

#[tokio::test(start_paused = true)]
async fn a_circuit_trips_and_recovers_though_no_read_ever_comes_back() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Hang);
    trip(&breaker).await;
    pass(31.0).await;
    let mut answered = 0;
    for _ in 0..30 {
        answered += usize::from(succeed(&breaker).await == Ok(42));
        pass(1.0).await;
    }
    assert!(answered >= 24, "{answered} of 30 calls were let through");
}

#[tokio::test(start_paused = true)]
async fn a_single_write_without_an_answer_makes_no_other_circuit_act_alone() {
    let world = World::new();
    let process = world.process();
    let breakers = breakers(&process, 3);
    for breaker in &breakers[1..] {
        trip(breaker).await;
    }
    pass(28.6).await;
    process.store.writes_meet(Fault::Hang);
    trip(&breakers[0]).await;
    process.store.writes_meet(Fault::None);
    pass(0.45).await;
    let mut transitions = process.registry.subscribe();
    // The others are due at one instant; the store takes a while to answer.
    process.store.writes_meet(Fault::Delay(Duration::from_millis(20)));
    let calls = breakers[1..].iter().map(succeed);
    let results = futures::future::join_all(calls).await;
    assert!(results.iter().all(|result| *result == Ok(42)), "both are elected");
    for transition in heard(&mut transitions) {
        assert_ne!(transition.origin, Origin::WithoutStore, "{transition:?}");
    }
}

/// It blocks its thread, so that every answer looks as if the process had stood still.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_always_slow_delays_a_call_for_a_bounded_time() {
    for fault in [Fault::None, UNAVAILABLE] {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        let clock = world.clock.clone();
        process.store.on_every_request(move || clock.advance(Duration::from_secs(3)));
        process.store.meets(fault);
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42));
        }
        assert!(process.store.log().len() <= 6, "{:?}", process.store.log());
    }
}

#[tokio::test(start_paused = true)]
async fn a_trip_is_shared_at_once_after_a_read_of_another_circuit_had_no_answer() {
    let world = World::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breakers = breakers(&process, 2);
    process.store.reads_meet(Fault::Hang);
    assert_eq!(succeed(&breakers[0]).await, Ok(42));
    process.store.reads_meet(Fault::None);
    // Its own look is spared; what it decides is not.
    trip(&breakers[1]).await;
    settle().await;
    let heard = heard(&mut transitions);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].origin, Origin::Local);
}

/// A store that refuses after a while.
#[derive(Clone, Copy)]
struct SlowlyRefuses(StoreErrorKind);

impl SlowlyRefuses {
    async fn refuse<T>(self) -> Result<T, StoreError> {
        pass(0.9).await;
        Err(StoreError::new(self.0, "after a while"))
    }
}

impl Store for SlowlyRefuses {
    async fn read(&self, _: &CircuitName, _: Consistency) -> Result<Option<Record>, StoreError> {
        self.refuse().await
    }

    async fn write(&self, _: &CircuitName, _: &Operation) -> Result<Written, StoreError> {
        self.refuse().await
    }
}

#[tokio::test(start_paused = true)]
async fn case_200_a_store_that_is_slow_to_refuse_costs_one_wait_for_each_back_off() {
    for kind in [
        StoreErrorKind::Timeout,
        StoreErrorKind::Unavailable,
        StoreErrorKind::Throttled,
        StoreErrorKind::Misconfigured,
        StoreErrorKind::BadAnswer,
    ] {
        let world = World::new();
        let registry = BreakerRegistry::builder(SlowlyRefuses(kind)).clock(&world.clock);
        let registry = registry.disabled(false).spawn().unwrap();
        let breaker = |number: u32| registry.breaker(format!("c{number}")).unwrap();
        let breakers: Vec<_> = (0..100).map(breaker).collect();
        let round = async {
            for breaker in &breakers {
                assert_eq!(succeed(breaker).await, Ok(42));
            }
        };
        let ((), took) = timed(round).await;
        // A second circuit may look for itself, and a first failure that comes without an
        // answer may be anything.
        assert!(took <= Duration::from_millis(2_700), "{kind:?}: {took:?}");
        // A minute of calls, one after the other, ten a second.
        let minute = async {
            for number in 0..600 {
                assert_eq!(succeed(&breakers[number % 100]).await, Ok(42));
                pass(0.1).await;
            }
        };
        let ((), took) = timed(minute).await;
        let waited = took.saturating_sub(Duration::from_secs(60));
        assert!(waited <= Duration::from_millis(7_000), "{kind:?}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_193_throttled_operations_are_asked_for_ever_more_rarely() {
    for (reads, writes) in [(true, false), (false, true), (true, true)] {
        let world = World::new();
        let process = world.process();
        let breaker = process.breaker();
        let throttled = Fault::Fail(StoreErrorKind::Throttled);
        if reads {
            process.store.reads_meet(throttled);
        }
        if writes {
            process.store.writes_meet(throttled);
        }
        for _ in 0..600 {
            let _ = fail(&breaker).await;
            pass(0.1).await;
        }
        // At most one read and one write a back-off: 4 s to 5 s after the first few.
        let asked = process.store.log().len();
        assert!(asked <= 60, "{reads} {writes}: {asked} operations in a minute");
        process.store.meets(Fault::None);
        pass(40.0).await;
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42));
            pass(1.0).await;
        }
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    }
}
