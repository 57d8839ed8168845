//! What a snapshot tells: its age, the outage, who holds the circuit open; and the list.

use std::time::{Duration, SystemTime};

use fuseboard::{
    Breaker, Cause, CircuitState, Hold, Reason, RefreshError, Snapshot, store::StoreErrorKind,
};
use futures::FutureExt as _;
use tokio::task::JoinSet;

use crate::support::{
    faulty::Fault,
    memory::{Process, START, World, fail, is_rejected, pass, recover, settle, succeed, trip},
};

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

/// The age of the snapshot, in seconds.
fn age(world: &World, breaker: &Breaker) -> Option<u64> {
    breaker.snapshot().age(world.clock.wall()).map(|age| age.as_secs())
}

/// Whole seconds since the start, so that a millisecond that a test lets pass does not show.
fn since_start(time: Option<SystemTime>) -> Option<u64> {
    time.map(|time| time.duration_since(at(START)).unwrap().as_secs())
}

#[tokio::test(start_paused = true)]
async fn case_184_a_snapshot_tells_its_age_and_a_refresh_makes_it_true() {
    let world = World::new();
    let (idle, busy) = (world.process(), world.process());
    let breaker = idle.breaker();
    assert_eq!((breaker.snapshot().as_of(), age(&world, &breaker)), (None, None));
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(age(&world, &breaker), Some(0));
    pass(10.0).await;
    trip(&busy.breaker()).await;
    pass(5.0).await;
    assert_eq!(breaker.state(), CircuitState::Closed, "it has not looked");
    assert_eq!(age(&world, &breaker), Some(15));
    assert_eq!(since_start(breaker.snapshot().as_of()), Some(0));

    let snapshot = breaker.refresh().await.unwrap();
    assert_eq!((snapshot.state(), age(&world, &breaker)), (CircuitState::Open, Some(0)));
    assert_eq!(since_start(snapshot.as_of()), Some(15));
    assert_eq!(since_start(snapshot.down_since()), Some(10));
    assert!(is_rejected(&succeed(&breaker).await), "and it acts on what was shown");
    // One read by the first call, and one by the refresh.
    assert_eq!(idle.store.reads(), 2);
    let earlier = at(START);
    assert_eq!(snapshot.age(earlier), Some(Duration::ZERO), "a clock that is behind");
}

#[tokio::test(start_paused = true)]
async fn case_184_refreshes_that_overlap_share_one_read() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Delay(Duration::from_millis(300)));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let breaker = breaker.clone();
        tasks.spawn(async move { breaker.refresh().await.unwrap().as_of() });
    }
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(Option::is_some));
    assert_eq!(process.store.reads(), 1);
    // A call that finds the read under way waits for it as well.
    pass(60.0).await;
    let (refreshed, called) = tokio::join!(breaker.refresh(), succeed(&breaker));
    assert!(refreshed.is_ok());
    assert_eq!((called, process.store.reads()), (Ok(42), 2));
}

/// The read of a call is eventually consistent: it may show what was there before a hold.
#[tokio::test(start_paused = true)]
async fn a_refresh_beside_the_read_of_a_call_reads_once_more() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Delay(Duration::from_millis(300)));
    let refreshed = async {
        pass(0.1).await;
        breaker.refresh().await
    };
    let (called, refreshed) = tokio::join!(succeed(&breaker), refreshed);
    assert!(refreshed.is_ok());
    assert_eq!((called, process.store.reads()), (Ok(42), 2));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_joins_a_write_is_shown_what_that_left() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    process.store.writes_meet(Fault::Delay(Duration::from_millis(300)));
    let reads = process.store.reads();
    let refreshed = async {
        pass(0.1).await;
        breaker.refresh().await.unwrap()
    };
    let (_, snapshot) = tokio::join!(fail(&breaker), refreshed);
    assert_eq!(snapshot.state(), CircuitState::Open);
    assert_eq!(process.store.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_behind_a_write_that_hangs_is_backed_off_with_it() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    process.store.writes_meet(Fault::Hang);
    let refreshed = async {
        pass(0.1).await;
        breaker.refresh().await
    };
    let (_, refreshed) = tokio::join!(fail(&breaker), refreshed);
    assert_eq!(refreshed, Err(RefreshError::BackedOff));
    pass(60.0).await;
    assert!(breaker.refresh().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_says_why_it_shows_nothing() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Fail(StoreErrorKind::Misconfigured));
    let failed = RefreshError::Store(StoreErrorKind::Misconfigured);
    assert_eq!(breaker.refresh().await, Err(failed));
    assert_eq!(breaker.refresh().await, Err(RefreshError::BackedOff));
    assert_eq!(process.store.reads(), 1);
    process.store.reads_meet(Fault::None);
    pass(60.0).await;
    assert!(breaker.refresh().await.is_ok(), "the store is asked again");
    process.registry.shutdown(Duration::from_secs(1)).await.unwrap();
    assert_eq!(breaker.refresh().await, Err(RefreshError::Gone));
    let disabled = world.process_with(|builder| builder.disabled(true));
    assert_eq!(disabled.breaker().refresh().await, Err(RefreshError::Gone));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_dropped_leaves_its_read_to_others() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Delay(Duration::from_millis(300)));
    let mut dropped = Box::pin(breaker.refresh());
    assert!(dropped.as_mut().now_or_never().is_none());
    drop(dropped);
    pass(0.5).await;
    assert_eq!(process.store.reads(), 1);
    assert_eq!(age(&world, &breaker), Some(0));
}

/// Each reopening moves `opened_at`; what the outage began with stays.
#[tokio::test(start_paused = true)]
async fn case_185_in_the_process_that_tripped_the_outage_keeps_its_beginning_and_its_cause() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    pass(7.0).await;
    trip(&breaker).await;
    let began = |snapshot: &Snapshot| {
        (
            since_start(snapshot.down_since()),
            snapshot.cause().cloned(),
            snapshot.circuit().failure_count,
        )
    };
    let first = (Some(7), Some(Cause::FailureThreshold), 5);
    assert_eq!(began(&breaker.snapshot()), first);
    for reopening in 1..=3 {
        pass(35.0).await;
        let _ = fail(&breaker).await;
        let snapshot = breaker.snapshot();
        assert_eq!(began(&snapshot), first, "reopening {reopening}");
        assert_eq!(snapshot.circuit().opened_at, Some(START + 7 + 35 * reopening));
        assert!(snapshot.retry_at().unwrap() >= at(START + 7 + 35 * reopening + 30));
    }
    pass(35.0).await;
    let probe = breaker.admit().await.unwrap();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(began(&breaker.snapshot()), first, "half-open");
    probe.success().settled().await;
    recover(&breaker).await;
    assert_eq!(began(&breaker.snapshot()), (None, None, 0));
    assert_eq!(breaker.snapshot().retry_at(), None);
    // The next outage is another one.
    trip(&breaker).await;
    assert_eq!(began(&breaker.snapshot()), (Some(7 + 4 * 35), Some(Cause::FailureThreshold), 5));
}

#[tokio::test(start_paused = true)]
async fn case_185_in_a_process_that_saw_the_outage_begin_it_keeps_its_beginning() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    trip(&mine).await;
    pass(3.0).await;
    assert!(is_rejected(&succeed(&theirs).await));
    for _ in 0..3 {
        pass(35.0).await;
        let _ = fail(&mine).await;
        let seen = theirs.refresh().await.unwrap();
        assert_eq!(since_start(seen.down_since()), Some(0));
        assert_eq!(seen.cause(), Some(&Cause::FailureThreshold));
        assert_eq!(seen.circuit().failure_count, 5, "as the trip left it");
    }
    // One that starts now says the same.
    let late = world.process();
    let seen = late.breaker().refresh().await.unwrap();
    assert_eq!(since_start(seen.down_since()), Some(0));
    assert_eq!(seen.cause(), Some(&Cause::FailureThreshold));
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_told_as_a_hold_by_every_process() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    assert_eq!(succeed(&theirs).await, Ok(42));
    pass(10.0).await;
    mine.hold(Hold::open(at(START + 600)).reason("maintenance")).await.unwrap();
    pass(10.0).await;
    let shown = |breaker: &Breaker| {
        let snapshot = breaker.snapshot();
        let since = since_start(snapshot.down_since());
        (snapshot.hold().map(|hold| hold.reason.to_string()), since, snapshot.cause().cloned())
    };
    assert_eq!(shown(&mine), (Some("maintenance".into()), Some(10), Some(Cause::Hold)));
    let open = theirs.admit().await.unwrap_err();
    assert_eq!(open.reason(), Reason::Held { reason: "maintenance".into() });
    assert_eq!(shown(&theirs), (Some("maintenance".into()), Some(10), Some(Cause::Hold)));
    assert_eq!(since_start(theirs.snapshot().retry_at()).map(|at| at / 10), Some(60));
    mine.hold(Hold::open(at(START + 900))).await.unwrap();
    assert_eq!(shown(&mine).0, Some(String::new()), "a reason may be empty");
    assert_eq!(shown(&mine).1, Some(10), "one outage");
    mine.release().await.unwrap();
    assert_eq!(shown(&mine), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn a_rejection_tells_its_reason() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    trip(&mine).await;
    let open = mine.admit().await.unwrap_err();
    assert_eq!((open.reason(), open.reason().to_string()), (Reason::Tripped, "tripped".into()));
    assert_eq!(mine.try_admit().unwrap_err().reason(), Reason::Tripped);
    pass(35.0).await;
    let probe = mine.admit().await.unwrap();
    assert_eq!(mine.admit().await.unwrap_err().reason(), Reason::Probing);
    assert_eq!(mine.try_admit().unwrap_err().reason(), Reason::Probing);
    assert_eq!(theirs.admit().await.unwrap_err().reason(), Reason::Probing);
    probe.ignore();
    mine.hold(Hold::open(at(START + 600)).reason("why")).await.unwrap();
    assert_eq!(mine.try_admit().unwrap_err().reason(), Reason::Held { reason: "why".into() });
}

/// The longest that a caller is told to wait beside a probe that runs since `ran` seconds.
async fn told_beside_a_probe(world: &World, ran: f64) -> [Duration; 2] {
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    trip(&mine).await;
    pass(12.0).await;
    let _probe = mine.admit().await.unwrap();
    pass(ran).await;
    let told = |result: Result<fuseboard::OwnedPermit, fuseboard::OpenError>| {
        result.unwrap_err().retry_after()
    };
    [told(mine.admit_owned().await), told(theirs.admit_owned().await)]
}

#[tokio::test(start_paused = true)]
async fn beside_a_probe_a_caller_is_told_the_smaller_of_the_lease_and_the_handoff() {
    let world = || {
        World::with(|config| {
            let config = config.recovery_timeout(Duration::from_secs(10));
            config.probe_lease(Duration::from_secs(10)).handoff(Duration::from_secs(3))
        })
    };
    for told in told_beside_a_probe(&world(), 0.0).await {
        assert_eq!(told, Duration::from_secs(3), "one handoff");
    }
    let [mine, theirs] = told_beside_a_probe(&world(), 8.5).await;
    assert!(
        (Duration::from_millis(1_400)..=Duration::from_millis(1_500)).contains(&mine),
        "{mine:?}"
    );
    // Others wait for the clocks to agree, too, before they take over.
    assert!(theirs <= Duration::from_secs(3), "{theirs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_cannot_read_says_that_it_fails_open() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert!(!breaker.snapshot().is_failing_open());
    process.store.reads_meet(Fault::Fail(StoreErrorKind::Unavailable));
    pass(10.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert!(breaker.snapshot().is_failing_open());
    process.store.reads_meet(Fault::None);
    pass(60.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert!(!breaker.snapshot().is_failing_open());
}

#[tokio::test(start_paused = true)]
async fn the_list_has_every_circuit_of_the_process_sorted_by_name() {
    let world = World::new();
    let Process { registry, .. } = world.process();
    assert!(registry.is_empty() && registry.circuits().is_empty());
    let breakers: Vec<_> =
        ["b", "c", "a"].into_iter().map(|name| registry.breaker(name).unwrap()).collect();
    trip(&breakers[1]).await;
    let listed = registry.circuits();
    let listed: Vec<_> =
        listed.iter().map(|(name, shown)| (name.as_str(), shown.state())).collect();
    let (closed, open) = (CircuitState::Closed, CircuitState::Open);
    assert_eq!(listed, [("a", closed), ("b", closed), ("c", open)]);
    assert_eq!(registry.len(), 3);
    drop(breakers);
    settle().await;
    pass(7_200.0).await;
    assert!(registry.is_empty(), "forgotten");
}
