//! CASES.md 93 to 98: one process and the world.

use fuseboard::{Cause, CircuitState, Origin};

use super::{contradicted, failures, world};
use crate::support::memory::{fail, heard, is_rejected, pass, settle, succeed, trip};

#[tokio::test(start_paused = true)]
async fn case_93_one_broken_process_of_ten_is_open_for_itself_alone() {
    for percent in [100, 60, 30] {
        let world = world();
        let members = world.processes(10);
        let breakers: Vec<_> = members.iter().map(|member| member.breaker()).collect();
        let mut random = fastrand::Rng::with_seed(percent);
        let (mut good, mut rejected, mut rejected_late, mut own) = (0, 0, 0, 0);
        for second in 0..1_800 {
            for (number, breaker) in breakers.iter().enumerate() {
                pass(0.1).await;
                if number == 0 {
                    let fails = random.u64(0..100) < percent;
                    let call = if fails { fail(breaker).await } else { succeed(breaker).await };
                    own += usize::from(is_rejected(&call));
                    continue;
                }
                let is_late = second >= 120 && percent == 100;
                let call = is_rejected(&succeed(breaker).await);
                good += 1;
                rejected += usize::from(call);
                rejected_late += usize::from(call && is_late);
            }
        }
        let share = rejected * 100 / good;
        assert!(share <= 6, "{share} % of the others' calls, {percent} % of its own fail");
        assert_eq!(rejected_late, 0, "once it is refuted the others reject nothing");
        assert!(percent < 100 || own > 1_500, "it rejects its own: {own}");
        let log = members[0].store.log();
        let trips = log.iter().filter(|name| **name == "trip").count();
        assert!((1..=3).contains(&trips), "{trips} trips, {percent} % fail");
        assert_eq!(world.stored_state(), Some(CircuitState::Closed), "{percent} %");
    }
}

#[tokio::test(start_paused = true)]
async fn case_94_open_for_itself_a_process_probes_and_closes_without_a_write() {
    let (world, first, other) = contradicted().await;
    let breaker = first.breaker();
    let mut told = first.registry.subscribe();
    let (record, writes) = (world.record(), first.store.writes());
    failures(&breaker, 5).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    let told = heard(&mut told);
    let how: Vec<_> = told.iter().map(|told| (told.cause.clone(), told.origin)).collect();
    assert_eq!(how, [(Cause::Refuted, Origin::WithoutStore)]);
    pass(29.0).await;
    assert!(is_rejected(&succeed(&breaker).await));
    assert_eq!(succeed(&other.breaker()).await, Ok(42), "nobody else is concerned");
    pass(1.0).await;
    let probe = breaker.admit().await.unwrap();
    assert!(probe.is_probe());
    assert!(is_rejected(&succeed(&breaker).await), "one at a time");
    probe.success().settled().await;
    for _ in 0..2 {
        assert_eq!(succeed(&breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    failures(&breaker, 5).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open, "K good calls are too few");
    assert_eq!((world.record(), first.store.writes()), (record, writes));
}

#[tokio::test(start_paused = true)]
async fn case_94_a_probe_that_fails_here_or_is_dropped_writes_nothing_either() {
    let (world, first, _other) = contradicted().await;
    let breaker = first.breaker();
    let (record, writes) = (world.record(), first.store.writes());
    failures(&breaker, 5).await;
    for _ in 0..5 {
        pass(30.5).await;
        drop(breaker.admit().await.unwrap());
        settle().await;
        let _ = breaker.try_admit().map(drop);
        settle().await;
        assert!(breaker.try_admit().unwrap().is_probe(), "a dropped probe makes room");
        settle().await;
        failures(&breaker, 2).await;
    }
    assert_eq!((world.record(), first.store.writes()), (record, writes));
}

#[tokio::test(start_paused = true)]
async fn case_95_after_twenty_four_good_calls_in_a_row_a_trip_is_heard_again() {
    for (good, is_heard) in [(23, false), (24, true)] {
        let (world, first, _other) = contradicted().await;
        let breaker = first.breaker();
        failures(&breaker, 4).await;
        let (reads, writes) = (first.store.reads(), first.store.writes());
        for number in 0..good {
            // In whichever way they are made.
            if number % 2 == 0 {
                assert_eq!(succeed(&breaker).await, Ok(42));
            } else {
                let _ = breaker.try_admit().unwrap().success();
            }
        }
        assert!(first.store.reads() <= reads + 1);
        assert_eq!(first.store.writes(), writes);
        failures(&breaker, 5).await;
        assert_eq!(first.store.writes() - writes, usize::from(is_heard), "after {good}");
        let shown = if is_heard { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(world.stored_state(), Some(shown), "after {good} good calls");
    }
}

#[tokio::test(start_paused = true)]
async fn case_95_before_a_dependency_that_fails_now_and_then_every_process_is_heard() {
    let world = world();
    let members = world.processes(5);
    let breakers: Vec<_> = members.iter().map(|member| member.breaker()).collect();
    let mut told: Vec<_> = members.iter().map(|member| member.registry.subscribe()).collect();
    let mut trips = 0;
    for incident in 0..6 {
        for second in 0..300 {
            pass(1.0).await;
            let number = second % 5;
            // Each calls every five seconds; 25 s of failures are five calls of each.
            let _ = match second < 25 {
                true => fail(&breakers[number]).await,
                false => succeed(&breakers[number]).await,
            };
        }
        let log: Vec<_> = members.iter().flat_map(|member| member.store.log()).collect();
        let now = log.iter().filter(|name| **name == "trip").count();
        assert!(now > trips, "incident {incident} was not heard");
        trips = now;
    }
    let mut causes = told.iter_mut().flat_map(heard).map(|told| told.cause);
    assert!(!causes.any(|cause| cause == Cause::Refuted));
}

#[tokio::test(start_paused = true)]
async fn case_98_alone_the_tripper_probes_within_two_seconds_more() {
    for try_admit in [false, true] {
        for late in [0.0, 0.001, 0.5, 0.999] {
            let world = world();
            let alone = world.process();
            let breaker = alone.breaker();
            assert_eq!(succeed(&breaker).await, Ok(42));
            pass(late).await;
            trip(&breaker).await;
            let mut waited = 0;
            loop {
                let is_in = match try_admit {
                    true => breaker.try_admit().is_ok(),
                    false => breaker.admit().await.is_ok(),
                };
                if is_in {
                    break;
                }
                pass(0.01).await;
                waited += 10;
                assert!(waited < 60_000, "never, {late} s late");
            }
            let looks = if try_admit { 40 } else { 0 };
            assert!((31_000..=32_010 + looks).contains(&waited), "{waited} ms, {late} s late");
        }
    }
}
