//! CASES.md 195, 196, 209 and 210: a store that answers one thing and not the other.

use std::time::Duration;

use fuseboard::{CallError, CircuitState, Hold, Origin, store::StoreErrorKind};
use tokio::task::JoinSet;

use crate::support::{
    calls::{closes, fail, failures, is_rejected, succeed, trip},
    faulty::Fault,
    world::{Process, Shared, Way as _, World, heard, pass, settle, timed},
};

/// The defaults over a store that other processes share.
fn shared<S: Shared>() -> World<S> {
    World::with(|config| config.election_spread(Duration::from_secs(1)))
}

const OUT: [StoreErrorKind; 2] = [StoreErrorKind::Misconfigured, StoreErrorKind::Timeout];

/// Two processes, the second of which has tripped the circuit, as both know.
async fn tripped<S: Shared>() -> (World<S>, Process<S::Way>, Process<S::Way>) {
    let world = shared::<S>();
    let (cut, other) = (world.process(), world.process());
    assert_eq!(succeed(&cut.breaker()).await, Ok(42));
    trip(&other.breaker()).await;
    pass(5.0).await;
    let _ = succeed(&cut.breaker()).await;
    settle().await;
    assert!(is_rejected(&succeed(&cut.breaker()).await));
    (world, cut, other)
}

async fn case_195_with_writes_denied_there_is_no_probe_beside_a_live_lease<S: Shared>() {
    for kind in OUT {
        for try_admit in [false, true] {
            let (world, cut, other) = tripped::<S>().await;
            cut.store.writes_meet(Fault::Fail(kind));
            let (breaker, probing) = (cut.breaker(), other.breaker());
            let mut tasks = JoinSet::new();
            pass(28.0).await;
            tasks.spawn(async move {
                let long = async {
                    pass(60.0).await;
                    Ok::<u32, &str>(42)
                };
                while let Err(CallError::Open(_)) =
                    probing.call(|| async { Ok::<u32, &str>(1) }).await
                {
                    pass(0.01).await;
                }
                let _ = probing.call(|| long).await;
            });
            while world.stored_state() != Some(CircuitState::HalfOpen) {
                pass(0.01).await;
            }
            for tenth in 0..590 {
                pass(0.1).await;
                let is_in = match try_admit {
                    true => breaker.try_admit().is_ok(),
                    false => breaker.admit().await.is_ok(),
                };
                assert!(!is_in, "{kind:?}, beside a live lease, after {tenth} tenths");
            }
        }
    }
}

async fn case_195_with_writes_denied_nothing_is_rejected_that_others_closed<S: Shared>() {
    for kind in OUT {
        let (world, cut, other) = tripped::<S>().await;
        cut.store.writes_meet(Fault::Fail(kind));
        let breaker = cut.breaker();
        pass(24.0).await;
        closes(&other.breaker(), 12.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Closed));
        // It is due by what it knows, and decides on what it reads.
        pass(10.0).await;
        for _ in 0..20 {
            let permit = breaker.admit().await.unwrap();
            assert!(!permit.is_probe(), "{kind:?}");
            let _ = permit.success();
        }
        assert_eq!(cut.store.writes(), 0);
    }
}

async fn case_195_with_writes_denied_a_process_recovers_alone<S: Shared>() {
    for kind in OUT {
        let (world, cut, _other) = tripped::<S>().await;
        cut.store.writes_meet(Fault::Fail(kind));
        let mut told = cut.registry.subscribe();
        let record = world.record();
        pass(25.0).await;
        closes(&cut.breaker(), 20.0).await;
        let told = heard(&mut told);
        assert!(told.iter().all(|told| told.origin == Origin::WithoutStore), "{told:?}");
        assert_eq!(world.record(), record, "{kind:?}");
    }
}

async fn case_195_a_later_closing_ends_an_opening_that_was_decided_alone<S: Shared>() {
    for kind in OUT {
        let world = shared::<S>();
        let (cut, other) = (world.process(), world.process());
        let breaker = cut.breaker();
        assert_eq!(succeed(&breaker).await, Ok(42));
        assert_eq!(succeed(&other.breaker()).await, Ok(42));
        cut.store.writes_meet(Fault::Fail(kind));
        failures(&breaker, 5).await;
        assert_eq!(breaker.snapshot().state(), CircuitState::Open);
        // Meanwhile the others trip, and an operator closes the circuit.
        trip(&other.breaker()).await;
        other.breaker().release().await.unwrap();
        let record = world.record();
        pass(6.0).await;
        let _ = succeed(&breaker).await;
        settle().await;
        assert_eq!(succeed(&breaker).await, Ok(42), "{kind:?}");
        cut.store.writes_meet(Fault::None);
        pass(120.0).await;
        assert_eq!(succeed(&breaker).await, Ok(42));
        assert_eq!(world.record(), record, "its trip is of an epoch before");
    }
}

/// A process that is cut off from the store, and has opened the circuit here.
async fn cut_off<S: Shared>() -> (World<S>, Process<S::Way>) {
    let world = shared::<S>();
    let process = world.process();
    let breaker = process.breaker();
    // The circuit was open before, so that there is a record.
    trip(&breaker).await;
    breaker.release().await.unwrap();
    assert_eq!(succeed(&breaker).await, Ok(42));
    process.store.meets(Fault::Fail(StoreErrorKind::Timeout));
    pass(1.0).await;
    failures(&breaker, 5).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    (world, process)
}

async fn case_196_an_opening_is_written_while_it_is_news_and_not_when_it_is_old<S: Shared>() {
    // The back-off doubles, so that after a longer cut it may end when the trip is too old.
    for (cut, is_written) in [(5.0, true), (10.0, true), (60.0, false), (1_200.0, false)] {
        let (world, process) = cut_off::<S>().await;
        let breaker = process.breaker();
        let record = world.record();
        pass(cut).await;
        process.store.meets(Fault::None);
        if is_written {
            // No call comes: the actor writes it.
            pass(30.0 - cut).await;
            assert_eq!(world.stored_state(), Some(CircuitState::Open), "cut off for {cut} s");
            continue;
        }
        pass(60.0).await;
        assert_eq!(world.record(), record, "cut off for {cut} s");
        closes(&breaker, 5.0).await;
        assert_eq!(world.record(), record, "it has probed first");
    }
}

async fn case_196_after_a_cut_a_process_opens_on_what_it_finds<S: Shared>() {
    let (world, process) = cut_off::<S>().await;
    let breaker = process.breaker();
    pass(1_200.0).await;
    process.store.meets(Fault::None);
    let mut failed = 0;
    while world.stored_state() == Some(CircuitState::Closed) {
        failed += usize::from(!is_rejected(&fail(&breaker).await));
        pass(1.0).await;
        assert!(failed <= 2, "a failed probe is news enough");
    }
}

async fn case_196_after_a_freeze_an_opening_is_not_written<S: Shared>() {
    let (world, process) = cut_off::<S>().await;
    let record = world.record();
    process.store.meets(Fault::None);
    world.clock.advance(Duration::from_secs(20));
    pass(40.0).await;
    assert_eq!(world.record(), record);
    assert!(process.breaker().admit().await.unwrap().is_probe(), "it probes first");
}

async fn case_196_a_release_or_a_closing_is_not_undone<S: Shared>() {
    for released in [true, false] {
        let (world, process) = cut_off::<S>().await;
        let other = world.process();
        if released {
            trip(&other.breaker()).await;
            other.breaker().release().await.unwrap();
        } else {
            other
                .breaker()
                .hold(Hold::open(world.clock.wall() + Duration::from_secs(5)).reason("no"))
                .await
                .unwrap();
            closes(&other.breaker(), 20.0).await;
        }
        let record = world.record();
        process.store.meets(Fault::None);
        pass(60.0).await;
        for _ in 0..5 {
            let _ = succeed(&process.breaker()).await;
            pass(1.0).await;
        }
        assert_eq!(world.record(), record, "released: {released}");
        assert_eq!(process.breaker().snapshot().state(), CircuitState::Closed);
    }
}

async fn case_209_a_process_rejects_for_no_longer_than_the_timeout_for_a_trip_that_did_not_land<
    S: Shared,
>() {
    for (reads, writes) in [(true, true), (true, false), (false, true)] {
        let world = shared::<S>();
        let process = world.process();
        let breaker = process.breaker();
        assert_eq!(succeed(&breaker).await, Ok(42));
        pass(1.0).await;
        let throttled = Fault::Fail(StoreErrorKind::Throttled);
        process.store.reads_meet(if reads { throttled } else { Fault::None });
        process.store.writes_meet(if writes { throttled } else { Fault::None });
        failures(&breaker, 5).await;
        let (mut rejected, mut longest) = (0, 0);
        for _ in 0..1_200 {
            rejected = if is_rejected(&succeed(&breaker).await) { rejected + 1 } else { 0 };
            longest = longest.max(rejected);
            if world.engine.record().is_some() {
                break;
            }
            pass(0.1).await;
        }
        // One look more is at most a cache age and a half away.
        assert!(longest <= 385, "rejected for {longest} tenths, {reads}, {writes}");
    }
}

async fn case_209_the_actor_looks_and_trips_by_itself<S: Shared>() {
    for throttled in [(true, true), (true, false), (false, true)] {
        let world = shared::<S>();
        let process = world.process();
        let breaker = process.breaker();
        assert_eq!(succeed(&breaker).await, Ok(42));
        pass(1.0).await;
        let fault = Fault::Fail(StoreErrorKind::Throttled);
        process.store.reads_meet(if throttled.0 { fault } else { Fault::None });
        process.store.writes_meet(if throttled.1 { fault } else { Fault::None });
        failures(&breaker, 5).await;
        pass(15.0).await;
        process.store.meets(Fault::None);
        pass(8.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Open), "{throttled:?}");
    }
}

async fn case_210_throttled_reads_let_no_call_through_and_keep_none_waiting<S: Shared>() {
    for half_open in [false, true] {
        let (world, cut, other) = tripped::<S>().await;
        let breaker = cut.breaker();
        let mut probe = None;
        if half_open {
            pass(27.0).await;
            let probing = other.breaker();
            while probe.is_none() {
                probe = probing.admit_owned().await.ok();
                pass(0.1).await;
            }
            let _ = succeed(&breaker).await;
            settle().await;
            assert_eq!(breaker.snapshot().state(), CircuitState::HalfOpen);
        }
        cut.store.reads_meet(Fault::Fail(StoreErrorKind::Throttled));
        for tenth in 0..900 {
            let (call, waited) = timed(succeed(&breaker)).await;
            assert!(is_rejected(&call), "half open: {half_open}, after {tenth} tenths");
            assert!(waited <= S::RETRIES, "{waited:?}");
            assert!(breaker.try_admit().is_err());
            pass(0.1).await;
        }
        assert_eq!(cut.store.writes(), 0);
        drop(probe);
        cut.store.meets(Fault::None);
        closes(&breaker, 40.0).await;
        assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    }
}

over_each_store! {
    case_195_with_writes_denied_there_is_no_probe_beside_a_live_lease,
    case_195_with_writes_denied_nothing_is_rejected_that_others_closed,
    case_195_with_writes_denied_a_process_recovers_alone,
    case_195_a_later_closing_ends_an_opening_that_was_decided_alone,
    case_196_an_opening_is_written_while_it_is_news_and_not_when_it_is_old,
    case_196_after_a_cut_a_process_opens_on_what_it_finds,
    case_196_after_a_freeze_an_opening_is_not_written,
    case_196_a_release_or_a_closing_is_not_undone,
    case_209_a_process_rejects_for_no_longer_than_the_timeout_for_a_trip_that_did_not_land,
    case_209_the_actor_looks_and_trips_by_itself,
    case_210_throttled_reads_let_no_call_through_and_keep_none_waiting,
}
