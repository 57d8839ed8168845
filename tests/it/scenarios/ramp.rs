//! The time after a closing in which only a share of the calls runs.

use std::time::Duration;

use fuseboard::{Backoff, CircuitState, OpenError, Reason, store::Field};

use crate::support::world::{Call, Process, Shared, Way, World, pass, settle};

/// A ramp of 20 s: a step each second.
fn ramping<S: Shared>() -> World<S> {
    World::with(|config| config.election_spread(Duration::ZERO).ramp(Duration::from_secs(20)))
}

/// Trips the circuit, and closes it by probes 30 s later.
async fn closes<W>(process: &Process<W>) {
    process.trip().await;
    pass(30.0).await;
    for _ in 0..3 {
        assert_eq!(process.ok().await, Call::Ok);
    }
    assert_eq!(process.state(), CircuitState::Closed);
}

/// Calls that often, in every way in turn; says how many ran.
async fn admitted<W>(process: &Process<W>, calls: usize) -> usize {
    let breaker = process.circuit();
    let mut admitted = 0;
    for call in 0..calls {
        let ran = match call % 4 {
            0 => process.ok().await == Call::Ok,
            1 => breaker.admit().await.map(|permit| permit.success()).is_ok(),
            2 => breaker.admit_owned().await.map(|permit| permit.success()).is_ok(),
            _ => breaker.try_admit().map(|permit| permit.success()).is_ok(),
        };
        admitted += usize::from(ran);
    }
    admitted
}

/// The rejection of a call. Of two in a row one has no share, in the first half of a ramp.
async fn rejection<W>(process: &Process<W>) -> OpenError {
    match process.ok().await {
        Call::Rejected(open) => open,
        Call::Ok | Call::Failed => process.ok().await.rejection(),
    }
}

async fn cases_61_and_129_each_step_after_a_closing_admits_its_share<S: Shared>() {
    let mut asked = Vec::new();
    for ramps in [true, false] {
        let world = if ramps { ramping::<S>() } else { World::new() };
        let process = world.process();
        closes(&process).await;
        for step in 0..20 {
            // Calls at the edge of what is known are decided by the actor, and share as well.
            let expected = if ramps { 2 * (step + 1) } else { 40 };
            assert_eq!(admitted(&process, 40).await, expected, "in step {step}");
            assert_eq!(process.state(), CircuitState::Closed);
            pass(1.0).await;
        }
        assert_eq!(admitted(&process, 40).await, 40);
        assert_eq!(process.circuit().snapshot().ramping_until(), None);
        asked.push((process.store.reads(), process.store.writes()));
    }
    assert_eq!(asked[0], asked[1], "no request is made for a ramp");
}

async fn case_129_a_rejection_on_a_ramp_says_so<S: Shared>() {
    let world = ramping::<S>();
    let process = world.process();
    closes(&process).await;
    pass(0.25).await;
    let open = rejection(&process).await;
    assert_eq!((open.reason(), open.retry_after()), (Reason::Ramping, Duration::from_millis(750)));
    assert_eq!(
        open.to_string(),
        "circuit \"payment-backend\" is CLOSED and ramping; retry in 750ms"
    );
    let breaker = process.circuit();
    // Of two in a row one has no share.
    let mut tried = [breaker.try_admit(), breaker.try_admit()].into_iter();
    let rejection = tried.find_map(Result::err).unwrap();
    assert_eq!(rejection.reason().to_string(), "ramping");
    let until = breaker.snapshot().ramping_until().unwrap();
    assert_eq!(until.duration_since(world.clock.wall()).unwrap(), Duration::from_millis(18_750));
    assert_eq!(breaker.snapshot().retry_at(), None, "no probe is due");
    pass(18.75).await;
    settle().await;
    assert_eq!(breaker.snapshot().ramping_until(), None, "told without a call");
}

async fn case_129_a_call_that_a_ramp_rejects_waits_for_no_read<S: Shared>() {
    let world = World::<S>::with(|config| {
        let config = config.ramp(Duration::from_secs(200)).failure_threshold(50);
        config.success_threshold(1).local_cache_max_age(Duration::from_secs(60))
    });
    let process = world.process();
    for _ in 0..50 {
        assert_eq!(process.fail().await, Call::Failed);
    }
    pass(30.0).await;
    assert_eq!(process.ok().await, Call::Ok);
    // Half of the calls run, and what is known is older than a quarter of a second.
    pass(91.0).await;
    let mut failed = 0;
    for call in 0..28 {
        pass(0.3).await;
        let before = process.store.reads();
        let is_rejected = process.fail().await.is_rejected();
        let reads = process.store.reads() - before;
        if failed >= 2 {
            assert_eq!(reads, usize::from(!is_rejected), "call {call}: others may have tripped");
        }
        failed += usize::from(!is_rejected);
    }
    assert_eq!(failed, 14);
}

async fn case_130_a_cold_process_ramps_with_the_others<S: Shared>() {
    let world = ramping::<S>();
    closes(&world.process()).await;
    pass(10.5).await;
    let cold = world.process();
    assert_eq!(admitted(&cold, 40).await, 22, "11 of 20");
    assert_eq!((cold.store.reads(), cold.store.writes()), (1, 0));
    pass(8.5).await;
    assert_eq!(admitted(&cold, 40).await, 40, "all, 19 s after the closing");

    pass(60.0).await;
    let late = world.process();
    assert_eq!(admitted(&late, 40).await, 40);
    assert_eq!(late.circuit().snapshot().ramping_until(), None);
}

async fn case_130_a_process_that_sees_the_closing_ramps_from_then_on<S: Shared>() {
    let world = ramping::<S>();
    let (closer, other) = (world.process(), world.process());
    assert_eq!(other.ok().await, Call::Ok);
    closes(&closer).await;
    pass(2.5).await;
    assert_eq!(admitted(&other, 40).await, 6, "3 of 20");
    assert_eq!(other.state(), CircuitState::Closed);
}

async fn case_131_a_circuit_trips_on_a_ramp_as_ever<S: Shared>() {
    let world = ramping::<S>();
    let process = world.process();
    closes(&process).await;
    let writes = process.store.writes();
    let (mut failed, mut rejected) = (0, 0);
    while process.state() == CircuitState::Closed {
        match process.fail().await {
            Call::Failed => failed += 1,
            Call::Rejected(_) => rejected += 1,
            Call::Ok => {}
        }
        assert!(failed + rejected <= 100, "not opened by {failed} failures");
    }
    // The first after any number of these.
    assert!(failed == 5 && (76..=95).contains(&rejected), "{rejected}: 1 of 20 calls runs");
    assert_eq!(process.store.writes(), writes + 1);
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    let open = process.ok().await.rejection();
    assert_eq!((open.reason(), open.retry_after().as_secs()), (Reason::Tripped, 30));
}

async fn case_131_a_trip_on_a_ramp_goes_on_with_the_back_off<S: Shared>() {
    let world = World::<S>::with(|config| {
        let config = config.election_spread(Duration::ZERO).success_threshold(1);
        let backoff = Backoff::exponential(2.0).jitter(0.0);
        config.ramp(Duration::from_secs(20)).open_backoff(backoff)
    });
    let process = world.process();
    for (failed_probes, lasts) in [(0, 30), (1, 60), (2, 120)] {
        while process.state() == CircuitState::Closed {
            let _ = process.fail().await;
        }
        assert_eq!(world.record().failed_probes, Field::Valid(failed_probes));
        let lasts = Duration::from_secs(lasts);
        assert_eq!(process.ok().await.rejection().retry_after(), lasts);
        tokio::time::sleep(lasts - Duration::from_millis(10)).await;
        assert!(process.ok().await.is_rejected(), "{lasts:?} are not over");
        pass(0.01).await;
        assert_eq!(process.ok().await, Call::Ok, "a probe after {lasts:?}");
        // The next one trips on the ramp that this closing begins.
        assert_eq!(process.state(), CircuitState::Closed);
        let ramping_until = process.circuit().snapshot().ramping_until().unwrap();
        let left = ramping_until.duration_since(world.clock.wall()).unwrap();
        assert_eq!(left, Duration::from_secs(19));
    }
}

async fn a_release_ramps<S: Shared>() {
    let world = ramping::<S>();
    let (process, other) = (world.process(), world.process());
    process.trip().await;
    assert!(other.ok().await.is_rejected());
    process.circuit().release().await.unwrap();
    settle().await;
    assert_eq!(admitted(&process, 40).await, 2);
    pass(5.5).await;
    assert_eq!(admitted(&other, 40).await, 12, "6 of 20");
}

over_each_store! {
    cases_61_and_129_each_step_after_a_closing_admits_its_share,
    case_129_a_rejection_on_a_ramp_says_so,
    case_129_a_call_that_a_ramp_rejects_waits_for_no_read,
    case_130_a_cold_process_ramps_with_the_others,
    case_130_a_process_that_sees_the_closing_ramps_from_then_on,
    case_131_a_circuit_trips_on_a_ramp_as_ever,
    case_131_a_trip_on_a_ramp_goes_on_with_the_back_off,
    a_release_ramps,
}
