//! A half-open circuit: one probe at a time, and none that is lost.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fuseboard::{CallError, CircuitState, OwnedPermit, store::Field};
use tokio::{sync::Barrier, task::JoinSet, time::timeout};

use crate::support::memory::{
    Process, World, is_rejected, pass, recover, settle, succeed, timed, trip,
};

/// A world whose circuit opened so long ago that a probe is due.
async fn due() -> (World, Process) {
    let world = World::new();
    let process = world.process();
    trip(&process.breaker()).await;
    pass(31.0).await;
    (world, process)
}

/// A call that is well, and takes so many seconds.
fn takes(process: &Process, seconds: f64) -> JoinSet<Result<u32, CallError<&'static str>>> {
    let breaker = process.breaker();
    let mut long = JoinSet::new();
    long.spawn(async move {
        let call = || async {
            pass(seconds).await;
            Ok::<u32, &str>(42)
        };
        breaker.call(call).await
    });
    long
}

#[tokio::test(start_paused = true)]
async fn case_159_a_call_that_never_ends_loses_its_lease_to_another_environment() {
    let (world, process) = due().await;
    let other = world.process();
    let breaker = other.breaker();
    let mut long = takes(&process, 200.0);
    settle().await;
    let mut held = 0;
    while is_rejected(&succeed(&breaker).await) {
        pass(1.0).await;
        held += 1;
        assert!(held < 200, "rejected for ever");
    }
    // The probe's limit, a lease, and what another allows for clocks.
    assert!((120..=155).contains(&held), "taken over after {held} s");
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    let before = world.record();
    assert_eq!(long.join_next().await.unwrap().unwrap(), Ok(42), "its caller gets its value");
    settle().await;
    assert_eq!(world.record(), before, "its late end changes nothing");
}

#[tokio::test(start_paused = true)]
async fn case_81_a_permit_that_is_kept_alive_by_hand_keeps_its_lease() {
    let (world, process) = due().await;
    let (breaker, other) = (process.breaker(), world.process());
    let permit = breaker.admit_owned().await.unwrap();
    // For as long as one probe may take, which is four leases.
    for _ in 0..12 {
        pass(9.9).await;
        permit.keep_alive();
        settle().await;
        assert!(is_rejected(&succeed(&other.breaker()).await));
    }
    permit.success().settled().await;
    assert_eq!(world.record().success_count, Field::Valid(1));
}

#[expect(clippy::mem_forget, reason = "this is what the test is about")]
fn leak<T>(permit: T) {
    std::mem::forget(permit);
}

/// How a call ends without a report.
#[derive(Clone, Copy, Debug)]
enum End {
    Dropped,
    Aborted,
    Panicked,
    Leaked,
}

#[tokio::test(start_paused = true)]
async fn case_81_no_slot_is_lost_however_a_permit_ends_and_whatever_the_state() {
    for end in [End::Dropped, End::Aborted, End::Panicked, End::Leaked] {
        for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
            let world = World::new();
            let process = world.process();
            let breaker = process.breaker();
            if state != CircuitState::Closed {
                trip(&breaker).await;
            }
            if state == CircuitState::HalfOpen {
                pass(31.0).await;
            }
            for _ in 0..3 {
                finish(&process, end).await;
            }
            // By now every lease and every recovery timeout is over.
            pass(65.0).await;
            for _ in 0..3 {
                assert_eq!(succeed(&breaker).await, Ok(42), "{end:?} while {state}");
            }
            assert_eq!(breaker.snapshot().state(), CircuitState::Closed, "{end:?} while {state}");
        }
    }
}

async fn finish(process: &Process, end: End) {
    if let Ok(permit) = process.breaker().admit_owned().await {
        finish_permit(permit, end).await;
    }
    settle().await;
}

/// A probe begins, and ends so.
async fn probe_ends(process: &Process, end: End) {
    let permit = process.breaker().admit_owned().await.unwrap();
    assert!(permit.is_probe(), "{end:?}");
    finish_permit(permit, end).await;
}

async fn finish_permit(permit: OwnedPermit, end: End) {
    let mut task = JoinSet::new();
    match end {
        End::Dropped => drop(permit),
        End::Leaked => leak(permit),
        End::Aborted => {
            task.spawn(async move {
                let _permit = permit;
                pending::<()>().await;
            });
            tokio::task::yield_now().await;
            task.abort_all();
        }
        End::Panicked => {
            task.spawn(async move {
                let _permit = permit;
                panic!("as the test says");
            });
        }
    }
    while task.join_next().await.is_some() {}
}

/// Who probes next in the same instant, and ends its probe without a verdict.
async fn probes_at_once(process: &Process, end: End) {
    let (permit, waited) = timed(process.breaker().admit_owned()).await;
    let permit = permit.unwrap_or_else(|open| panic!("{end:?}: {open}"));
    assert!(permit.is_probe(), "{end:?}");
    assert_eq!(waited, Duration::ZERO, "{end:?}");
    permit.ignore().settled().await;
}

/// Waits until everything that is owed to the store is there.
async fn written(process: &Process) {
    process.registry.flush(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_81_a_slot_is_back_in_the_instant_in_which_its_probe_ends() {
    for end in [End::Dropped, End::Aborted] {
        let (world, process) = due().await;
        let other = world.process();
        for next in [&process, &other, &process, &other] {
            let ((), took) = timed(async {
                probe_ends(&process, end).await;
                written(&process).await;
            })
            .await;
            assert_eq!(took, Duration::ZERO, "{end:?}");
            probes_at_once(next, end).await;
            written(next).await;
            // A probe that was ignored keeps its slot where it was for one `handoff`,
            // and only the first one that is dropped in a `handoff` gives it to all.
            pass(2.001).await;
            written(next).await;
        }
        recover(&process.breaker()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_157_a_second_slot_within_a_handoff_is_back_here_at_once_and_elsewhere_soon() {
    for end in [End::Dropped, End::Aborted] {
        let (world, process) = due().await;
        let other = world.process();
        for _ in 0..3 {
            probe_ends(&process, end).await;
            // Without a flush, which gives back what nobody uses.
            settle().await;
        }
        let log = process.store.log();
        let given_back = log.iter().filter(|name| **name == "give back").count();
        assert_eq!(given_back, 1, "{end:?}: {log:?}");
        let (permit, waited) = timed(process.breaker().admit_owned()).await;
        assert!(permit.unwrap().is_probe(), "{end:?}");
        assert_eq!(waited, Duration::ZERO, "{end:?}");
        assert!(is_rejected(&succeed(&other.breaker()).await), "{end:?}");
        pass(2.001).await;
        assert_eq!(succeed(&other.breaker()).await, Ok(42), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_81_a_call_that_panics_as_a_probe_holds_its_slot_no_longer() {
    let (world, process) = due().await;
    probe_ends(&process, End::Panicked).await;
    settle().await;
    let record = world.record();
    assert_eq!(record.state, Field::Valid(CircuitState::Open), "a verdict, at once");
    assert_eq!((record.owner, record.lease_until), (Field::Absent, Field::Absent));
    // No lease is waited for: only the recovery timeout, which began just now.
    pass(30.0).await;
    probes_at_once(&world.process(), End::Panicked).await;
}

#[tokio::test(start_paused = true)]
async fn case_86_a_thousand_tasks_at_the_due_instant_make_one_probe() {
    let (_world, process) = due().await;
    let breaker = process.breaker();
    let start = Arc::new(Barrier::new(1_000));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        let (breaker, start) = (breaker.clone(), Arc::clone(&start));
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        tasks.spawn(async move {
            start.wait().await;
            let call = || async {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                pass(0.05).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<u32, &str>(42)
            };
            breaker.call(call).await
        });
    }
    let results = tasks.join_all().await;
    let ran = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(ran, 1, "one probe, and the others are rejected at once");
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(process.store.log().iter().filter(|name| **name == "elect").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_156_a_caller_who_left_before_its_election_landed_leaves_it_to_the_next_call() {
    let (_world, process) = due().await;
    let breaker = process.breaker();
    process.store.writes_meet(crate::support::faulty::Fault::Delay(Duration::from_millis(100)));
    assert!(timeout(Duration::from_millis(50), breaker.admit()).await.is_err());
    pass(0.5).await;
    let (permit, waited) = timed(breaker.admit()).await;
    assert!(permit.unwrap().is_probe());
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(process.store.log().last(), Some(&"elect"), "written once");
}

#[tokio::test(start_paused = true)]
async fn case_53_a_caller_who_left_before_its_election_landed_holds_up_nobody() {
    let (world, process) = due().await;
    let (breaker, other) = (process.breaker(), world.process());
    process.store.writes_meet(crate::support::faulty::Fault::Delay(Duration::from_millis(100)));
    assert!(timeout(Duration::from_millis(50), breaker.admit()).await.is_err());
    // It is kept for the next call here, and after one `handoff` it is anybody's.
    pass(1.2).await;
    assert_eq!(succeed(&other.breaker()).await, Ok(42));
}
