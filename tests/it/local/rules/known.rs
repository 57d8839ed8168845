//! CASES.md 199, 206, 207 and 211: what is known, how old it may be, and who looks.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState, OnStoreOutage, store::StoreErrorKind};
use futures::{FutureExt as _, future::join_all};

use super::{closes, world};
use crate::support::{
    faulty::Fault,
    memory::{CIRCUIT, Process, World, is_rejected, pass, settle, succeed, timed, trip},
};

/// As many calls at once; says how many were rejected, and how long they took in all.
async fn burst(breaker: &Breaker, calls: usize) -> (usize, Duration) {
    let (calls, waited) = timed(join_all((0..calls).map(|_| succeed(breaker)))).await;
    (calls.iter().filter(|call| is_rejected(call)).count(), waited)
}

#[tokio::test(start_paused = true)]
async fn case_199_a_burst_on_a_cold_process_goes_by_one_look() {
    for open in [false, true] {
        let world = world();
        let other = world.process();
        assert_eq!(succeed(&other.breaker()).await, Ok(42));
        trip(&other.breaker()).await;
        if !open {
            pass(25.0).await;
            closes(&other.breaker(), 20.0).await;
        }
        let cold = world.process();
        cold.store.reads_meet(Fault::Delay(Duration::from_millis(60)));
        let (rejected, waited) = burst(&cold.breaker(), 64).await;
        assert_eq!((cold.store.reads(), cold.store.writes()), (1, 0));
        assert_eq!((rejected, waited), (if open { 64 } else { 0 }, Duration::from_millis(60)));
    }
}

#[tokio::test(start_paused = true)]
async fn case_199_a_burst_on_a_cold_process_without_an_answer_rejects_nobody() {
    for fault in [Fault::Hang, Fault::Fail(StoreErrorKind::Throttled)] {
        let world = world();
        trip(&world.process().breaker()).await;
        let cold = world.process();
        cold.store.reads_meet(fault);
        assert_eq!(burst(&cold.breaker(), 64).await.0, 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_199_a_burst_that_is_due_by_old_knowledge_goes_by_one_look() {
    for half_open in [false, true] {
        for slow in [0, 60, 600] {
            let world = world();
            let members = world.processes(2);
            let (old, other) = (members[0].breaker(), members[1].breaker());
            assert_eq!(succeed(&old).await, Ok(42));
            trip(&other).await;
            pass(6.0).await;
            let _ = succeed(&old).await;
            settle().await;
            pass(24.0).await;
            if half_open {
                let mut probe = None;
                while probe.is_none() {
                    pass(0.1).await;
                    probe = other.admit().await.ok();
                }
                let _ = succeed(&old).await;
                settle().await;
                assert_eq!(old.snapshot().state(), CircuitState::HalfOpen);
                let _ = probe.unwrap().success().settled().await;
            }
            while world.stored_state() != Some(CircuitState::Closed) {
                pass(0.1).await;
                let _ = succeed(&other).await;
            }
            // 50 minutes later it knows the circuit as it was.
            pass(3_000.0).await;
            let reads = members[0].store.reads();
            members[0].store.reads_meet(Fault::Delay(Duration::from_millis(slow)));
            let (rejected, _) = burst(&old, 64).await;
            assert_eq!(rejected, 0, "half open: {half_open}, {slow} ms");
            let looked = members[0].store.reads() - reads;
            assert_eq!((looked, members[0].store.writes()), (1, 0), "half open: {half_open}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_199_where_nobody_is_due_one_call_looks_and_the_others_are_rejected_at_once() {
    for (slow, rejected, waited) in [(0, 63, 0), (60, 63, 60), (99, 63, 99), (101, 64, 100)] {
        let (_world, member, old) = closed_elsewhere().await;
        let reads = member.store.reads();
        member.store.reads_meet(Fault::Delay(Duration::from_millis(slow)));
        let expected = (rejected, Duration::from_millis(waited));
        assert_eq!(burst(&old, 64).await, expected, "{slow} ms");
        pass(0.1).await;
        assert_eq!((member.store.reads() - reads, member.store.writes()), (1, 0));
        assert_eq!(burst(&old, 64).await, (0, Duration::ZERO));
    }
}

/// A process that knows the circuit as it was six seconds ago: open, and not due. It has
/// been closed since.
async fn closed_elsewhere() -> (World, Process, Breaker) {
    let world = world();
    let (member, other) = (world.process(), world.process());
    let old = member.breaker();
    trip(&other.breaker()).await;
    assert!(is_rejected(&succeed(&old).await));
    pass(6.0).await;
    other.breaker().release().await.unwrap();
    (world, member, old)
}

#[tokio::test(start_paused = true)]
async fn case_199_a_call_that_looks_too_long_is_rejected_and_the_next_goes_by_the_answer() {
    let (_world, member, old) = closed_elsewhere().await;
    member.store.reads_meet(Fault::Delay(Duration::from_millis(600)));
    let tenth = Duration::from_millis(100);
    let (looked, waited) = timed(succeed(&old)).await;
    assert!(is_rejected(&looked));
    assert_eq!(waited, tenth);
    for _ in 0..4 {
        let (beside, waited) = timed(succeed(&old)).await;
        assert!(is_rejected(&beside));
        assert_eq!(waited, Duration::ZERO, "one wait for each read");
        pass(0.1).await;
    }
    pass(0.2).await;
    assert_eq!(timed(succeed(&old)).await, (Ok(42), Duration::ZERO));
    assert_eq!(member.store.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_199_a_slow_or_failing_store_costs_one_short_wait_for_each_age_or_back_off() {
    let unavailable = Fault::Fail(StoreErrorKind::Unavailable);
    for (fault, most) in
        [(Fault::Delay(Duration::from_millis(600)), 5), (unavailable, 0), (Fault::Hang, 5)]
    {
        let world = World::with(|config| config.on_store_outage(OnStoreOutage::Protect));
        let (member, other) = (world.process(), world.process());
        let here = member.breaker();
        trip(&other.breaker()).await;
        assert!(is_rejected(&succeed(&here).await));
        member.store.reads_meet(fault);
        let mut waits = 0;
        for _ in 0..240 {
            let (call, waited) = timed(succeed(&here)).await;
            assert!(is_rejected(&call), "{fault:?}");
            assert!(waited <= Duration::from_millis(100), "{fault:?}: {waited:?}");
            waits += u32::from(waited > Duration::ZERO);
            pass(0.1).await;
        }
        // In 24 s: one for each five seconds, or for each back-off.
        assert!(waits <= most, "{fault:?}: {waits}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_199_a_call_that_does_not_wait_has_the_look_made_for_the_next() {
    let (_world, member, old) = closed_elsewhere().await;
    member.store.reads_meet(Fault::Delay(Duration::from_millis(60)));
    assert!(old.try_admit().is_err());
    // The read is not this call's.
    let (beside, waited) = timed(succeed(&old)).await;
    assert!(is_rejected(&beside));
    assert_eq!(waited, Duration::ZERO);
    pass(0.1).await;
    assert!(old.try_admit().is_ok());
    assert_eq!(member.store.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_205_a_call_that_looks_and_has_gone_keeps_no_flush_waiting() {
    let (_world, member, old) = closed_elsewhere().await;
    member.store.reads_meet(Fault::Hang);
    let mut looking = Box::pin(old.admit());
    assert!((&mut looking).now_or_never().is_none());
    settle().await;
    drop(looking);
    let budget = Duration::from_secs(3);
    assert_eq!(timed(member.registry.flush(budget)).await, (Ok(()), Duration::ZERO));
    assert_eq!(member.store.reads(), 2, "it still hangs");
}

#[tokio::test(start_paused = true)]
async fn case_206_a_fleet_in_step_reads_less_and_less_in_step() {
    let world = world();
    let members = world.processes(20);
    let mut last = Vec::new();
    for window in 0..4_000 {
        let before: Vec<_> = members.iter().map(|member| member.store.reads()).collect();
        for member in &members {
            assert_eq!(succeed(&member.breaker()).await, Ok(42));
        }
        let now = members.iter().map(|member| member.store.reads());
        let read = now.zip(before).filter(|(now, before)| now > before).count();
        last.push(read);
        if window == 0 {
            assert_eq!(read, 20, "cold, and in step");
        }
        pass(0.03).await;
    }
    // In the last of two minutes: those that read in the same 30 ms.
    let most = last[2_000..].iter().max().unwrap();
    assert!(*most <= 6, "{most} of 20 read within 30 ms");
    for member in &members {
        // One for each 0.8 of 0.9 to 1.0 of the age at most, and one for each age at least.
        let reads = member.store.reads();
        assert!((24..=34).contains(&reads), "{reads} reads in two minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn case_207_a_record_that_vanished_is_probed_by_one_at_a_time() {
    for half_open in [false, true] {
        let world = world();
        let members = world.processes(10);
        trip(&members[0].breaker()).await;
        let mut probe = None;
        pass(if half_open { 32.5 } else { 3.0 }).await;
        for member in &members {
            let breaker = member.breaker();
            probe = probe.or(breaker.admit_owned().await.ok());
            settle().await;
        }
        assert_eq!(probe.is_some(), half_open);
        let _leaked = probe.map(std::mem::forget);
        world.write(None);
        let (mut held, mut waited) = (None, 0);
        while world.stored_state() != Some(CircuitState::Closed) {
            for member in &members {
                if let Ok(permit) = member.breaker().admit_owned().await
                    && permit.is_probe()
                {
                    assert!(held.is_none(), "two probes at once");
                    held = Some((permit, waited));
                }
            }
            pass(0.1).await;
            waited += 1;
            if held.as_ref().is_some_and(|(_, since)| waited - since > 5) {
                let _ = held.take().unwrap().0.success().settled().await;
            }
            assert!(waited < 2_000, "half open: {half_open}: never closed");
        }
        assert!(world.engine.record(CIRCUIT).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn case_211_half_open_elsewhere_is_read_again_after_two_seconds() {
    for try_admit in [false, true] {
        let world = world();
        let members = world.processes(2);
        let (here, other) = (members[0].breaker(), members[1].breaker());
        assert_eq!(succeed(&here).await, Ok(42));
        trip(&other).await;
        pass(31.5).await;
        let mut probe = None;
        while probe.is_none() {
            pass(0.1).await;
            probe = other.admit().await.ok();
        }
        let _ = succeed(&here).await;
        settle().await;
        assert_eq!(here.snapshot().state(), CircuitState::HalfOpen);
        let _ = probe.unwrap().success().settled().await;
        let mut closed = Vec::new();
        for _ in 0..2 {
            assert_eq!(succeed(&other).await, Ok(42));
        }
        assert_eq!(world.stored_state(), Some(CircuitState::Closed));
        for tenth in 0..30 {
            let is_in = match try_admit {
                true => here.try_admit().is_ok(),
                false => here.admit().await.is_ok(),
            };
            if is_in {
                closed.push(tenth);
            }
            pass(0.1).await;
        }
        assert!(closed.first().is_some_and(|tenth| *tenth <= 21), "{closed:?}, {try_admit}");
    }
}
