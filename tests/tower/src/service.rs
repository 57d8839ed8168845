//! The service around services of our own.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use fuseboard::{CircuitState, Config, ConfigBuilder, OpenError, Outcome, tower::BreakerLayer};
use futures::{FutureExt as _, poll};
use tower::{Layer as _, Service as _, ServiceExt as _};

use crate::{
    services::{Eager, FailsToConnect, Hangs, NeverReady, Panics, Strict, Unique},
    world::World,
};

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_passes_results_on_and_counts_failures() {
    let world = World::closed().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Eager::default());
    assert_eq!(service.ready().await.unwrap().call(Ok(7)).await.unwrap(), 7);
    for _ in 0..5 {
        let failed = service.ready().await.unwrap().call(Err("down")).await.unwrap_err();
        assert_eq!(failed.to_string(), "down");
    }
    assert_eq!(world.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_trip_is_written_when_the_call_that_tripped_returns() {
    let world = World::new();
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Eager::default());
    for _ in 0..5 {
        let _ = service.ready().await.unwrap().call(Err("down")).await;
    }
    let (_registry, other) = world.other();
    assert!(other.admit().await.is_err(), "the trip is in the store");
}

#[tokio::test(start_paused = true)]
async fn case_92_an_open_circuit_never_reaches_a_service_that_works_in_call() {
    let world = World::open().await;
    let eager = Eager::default();
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(eager.clone());
    let rejected = service.ready().await.unwrap().call(Ok(7));
    assert_eq!(eager.calls(), 0);
    let rejected = rejected.now_or_never().unwrap().unwrap_err();
    let open = rejected.downcast_ref::<OpenError>().unwrap();
    assert_eq!(open.circuit().name.as_str(), "dependency");
    assert_eq!(eager.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn case_92_a_probe_that_another_process_makes_keeps_the_service_unreached() {
    let world = World::due().await;
    let (_registry, other) = world.other();
    let probe = other.admit().await.unwrap();
    assert!(probe.is_probe());
    let eager = Eager::default();
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(eager.clone());
    let rejected = service.ready().await.unwrap().call(Ok(7)).await.unwrap_err();
    assert!(rejected.is::<OpenError>());
    assert_eq!(eager.calls(), 0);
    probe.success();
}

#[tokio::test(start_paused = true)]
async fn case_186_an_open_circuit_rejects_at_once_before_a_service_that_is_never_ready() {
    let world = World::open().await;
    let layer = BreakerLayer::new(world.breaker.clone());
    let mut service = layer.layer(NeverReady(()));
    let ready = service.ready().now_or_never().expect("ready to reject").unwrap();
    assert!(ready.call(()).now_or_never().unwrap().unwrap_err().is::<OpenError>());

    let mut service = layer.clone().never_waiting().layer(NeverReady(Unique));
    let ready = service.ready().now_or_never().expect("ready to reject").unwrap();
    assert!(ready.call(()).now_or_never().unwrap().unwrap_err().is::<OpenError>());

    for never_waits in [false, true] {
        let mut service = if never_waits {
            layer.clone().never_waiting().layer(FailsToConnect).boxed()
        } else {
            layer.layer(FailsToConnect).boxed()
        };
        let ready = service.ready().now_or_never().expect("ready to reject").unwrap();
        assert!(ready.call(()).now_or_never().unwrap().unwrap_err().is::<OpenError>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_circuit_waits_until_the_inner_service_is_ready() {
    let world = World::closed().await;
    let layer = BreakerLayer::new(world.breaker.clone());
    assert!(layer.layer(NeverReady(())).ready().now_or_never().is_none());
    assert!(layer.never_waiting().layer(NeverReady(Unique)).ready().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_called_only_when_it_said_that_it_is_ready() {
    let world = World::new();
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Strict::default());
    // The first admission waits for the store.
    service.ready().await.unwrap().call(()).await.unwrap();
    service.ready().await.unwrap().call(()).await.unwrap();
    service.clone().oneshot(()).await.unwrap();

    // Ready to reject, and then the circuit closes before the call.
    let world = World::open().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Strict::default());
    service.ready().await.unwrap();
    world.breaker.release().await.unwrap();
    service.call(()).await.unwrap();
    assert_eq!(world.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn three_good_probes_close_the_circuit() {
    let world = World::due().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Eager::default());
    for _ in 0..3 {
        assert_ne!(world.state(), CircuitState::Closed);
        assert_eq!(service.ready().await.unwrap().call(Ok(7)).await.unwrap(), 7);
    }
    assert_eq!(world.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn readiness_holds_no_probe() {
    let world = World::due().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Eager::default());
    service.ready().await.unwrap();
    let (_registry, other) = world.other();
    assert!(other.admit().await.unwrap().is_probe(), "the right was free");
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_future_is_dropped_gives_its_right_back() {
    let world = World::due().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Hangs);
    {
        let mut call = pin!(service.ready().await.unwrap().call(()));
        while world.state() != CircuitState::HalfOpen {
            assert!(poll!(call.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        assert!(world.breaker.admit().await.is_err(), "the probe is under way");
    }
    world.flush().await;
    assert!(world.breaker.admit().await.unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_probe_is_renewed_while_its_future_runs() {
    let world = World::due().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Hangs);
    let mut call = pin!(service.ready().await.unwrap().call(()));
    let lease = Config::builder().build().unwrap().probe_lease();
    while world.state() != CircuitState::HalfOpen {
        assert!(poll!(call.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    for _ in 0..90 {
        world.clock.advance(lease / 30);
        tokio::time::advance(lease / 30).await;
        for _ in 0..20 {
            assert!(poll!(call.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let (_registry, other) = world.other();
    assert!(other.admit().await.is_err(), "three leases later the probe still has its right");
}

#[tokio::test(start_paused = true)]
async fn case_116_requests_that_hang_open_the_circuit_before_they_end() {
    let slow_after = Duration::from_secs(2);
    let world = World::with(Config::builder().slow_after(slow_after).build().unwrap());
    world.breaker.admit().await.unwrap().success();
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Hangs);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        calls.spawn(service.ready().await.unwrap().call(()));
    }
    tokio::time::sleep(slow_after - Duration::from_millis(10)).await;
    assert_eq!(world.state(), CircuitState::Closed);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!((world.state(), calls.len()), (CircuitState::Open, 20));
}

#[tokio::test(start_paused = true)]
async fn case_120_a_request_that_probes_and_is_slow_has_failed_at_that_moment() {
    let slow_after = Duration::from_secs(2);
    let world = World::with(Config::builder().slow_after(slow_after).build().unwrap());
    for _ in 0..5 {
        world.breaker.admit().await.unwrap().failure().settled().await;
    }
    world.clock.advance(Duration::from_secs(31));
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Hangs);
    let call = tokio::spawn(service.ready().await.unwrap().call(()));
    tokio::time::sleep(slow_after - Duration::from_millis(10)).await;
    assert_eq!(world.state(), CircuitState::HalfOpen);
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!((world.state(), call.is_finished()), (CircuitState::Open, false));
    call.abort();
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Open, "its drop says nothing more");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_inner_service_is_a_failure() {
    for panics in [Panics::InCall, Panics::InFuture] {
        let world = World::closed().await;
        let service = BreakerLayer::new(world.breaker.clone()).layer(panics);
        let service = tower::ServiceBuilder::new().service(service);
        tokio::spawn(service.oneshot(())).await.unwrap_err();
        assert_eq!(world.failures_to_trip().await, 4);
    }
}

/// The outermost layer of many services: the future is dropped when nothing panics any more.
#[tokio::test(start_paused = true)]
async fn a_panic_that_an_outer_layer_catches_is_a_failure() {
    for panics in [Panics::InCall, Panics::InFuture] {
        let world = World::closed().await;
        let service = BreakerLayer::new(world.breaker.clone()).layer(panics);
        AssertUnwindSafe(service.oneshot(())).catch_unwind().await.unwrap_err();
        assert_eq!(world.failures_to_trip().await, 4);
    }
}

/// Ready to be rejected, as nothing has been read yet, and admitted when another call has read.
#[tokio::test(start_paused = true)]
async fn a_call_whose_circuit_admits_it_after_readiness_is_made_once_and_is_no_failure() {
    let strict = |config: ConfigBuilder| config.count_cancelled(true).failure_threshold(1);
    let world = World::with(strict(Config::builder()).build().unwrap());
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Strict::default());
    service.ready().await.unwrap();
    world.breaker.admit().await.unwrap().success();
    service.call(()).await.unwrap();
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_judged_as_the_call_that_cannot_be_made() {
    let world = World::closed().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(FailsToConnect);
    for _ in 0..5 {
        assert_eq!(world.state(), CircuitState::Closed);
        let failed = service.ready().await.unwrap_err();
        assert_eq!(failed.to_string(), "no connection");
    }
    world.flush().await;
    assert_eq!(world.state(), CircuitState::Open);
}

/// Nobody has read anything, and nobody comes to call: the errors are all there is.
#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_counts_on_a_circuit_that_was_never_read() {
    let world = World::new();
    let layer = BreakerLayer::new(world.breaker.clone()).never_waiting();
    let mut service = layer.layer(FailsToConnect);
    for _ in 0..5 {
        service.ready().await.unwrap_err();
        world.flush().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(world.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_is_no_failure() {
    let world = World::closed().await;
    let mut service = BreakerLayer::new(world.breaker.clone()).layer(Hangs);
    for _ in 0..10 {
        assert!(service.ready().await.unwrap().call(()).now_or_never().is_none());
    }
    assert_eq!(world.failures_to_trip().await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_response_to_a_rejection_keeps_the_type_of_the_error() {
    let world = World::open().await;
    let layer = BreakerLayer::new(world.breaker.clone()).respond_with(|_| 503);
    let answered: Result<u32, &'static str> = layer.layer(Eager::default()).oneshot(Ok(7)).await;
    assert_eq!(answered, Ok(503));
}

#[tokio::test(start_paused = true)]
async fn a_closure_judges_the_result() {
    let world = World::closed().await;
    let judge = |result: &Result<u32, &'static str>| match result {
        Ok(500..) => Outcome::Failure,
        Ok(_) | Err("not found") => Outcome::Success,
        Err(_) => Outcome::Ignored,
    };
    let layer = BreakerLayer::new(world.breaker.clone()).classified_by(judge);
    let service = layer.layer(Eager::default());
    for request in [Ok(503), Ok(503), Err("not found"), Ok(503), Err("ours")] {
        let _ = service.clone().oneshot(request).await;
    }
    assert_eq!(world.failures_to_trip().await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_recovers_through_a_service_that_never_waits() {
    let world = World::due().await;
    let layer = BreakerLayer::new(world.breaker.clone()).never_waiting();
    let mut service = layer.layer(Eager::default());
    let mut good = 0;
    for _ in 0..100 {
        if service.ready().await.unwrap().call(Ok(7)).await.is_ok() {
            good += 1;
        }
        world.flush().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        if world.state() == CircuitState::Closed {
            break;
        }
    }
    assert_eq!((world.state(), good), (CircuitState::Closed, 3));
}
