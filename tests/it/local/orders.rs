//! Operators' orders whose givers go away, or change their mind.

use std::time::Duration;

use fuseboard::{CircuitState, Hold, OperatorError};
use futures::FutureExt as _;

use crate::support::{
    faulty::Fault,
    memory::{Process, World, pass, settle, timed},
};

const SLOW: Fault = Fault::Delay(Duration::from_millis(900));

/// Gives an order a tenth of a second, so many times in a row, as a script may.
async fn hold_in_haste(world: &World, process: &Process, times: u32) {
    let breaker = process.breaker();
    for _ in 0..times {
        let until = world.clock.wall() + Duration::from_secs(3_600);
        let order = breaker.hold(Hold::open(until).reason("maintenance"));
        let _ = tokio::time::timeout(Duration::from_millis(100), order).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_202_orders_whose_givers_have_gone_are_not_carried_out() {
    let world = World::new();
    let process = world.process();
    for fault in [Fault::Hang, SLOW] {
        process.store.meets(fault);
        hold_in_haste(&world, &process, 600).await;
        let before = process.store.log().len();
        pass(60.0).await;
        let after = process.store.log();
        assert!(after.len() <= before + 1, "{:?}", &after[before..]);
        assert!(!after.contains(&"hold"), "no write was begun for who had gone");
    }
    process.store.meets(Fault::None);
    pass(60.0).await;
    assert!(world.engine.record(crate::support::memory::CIRCUIT).is_none());
}

#[tokio::test(start_paused = true)]
async fn case_202_a_release_does_not_wait_for_holds_that_were_given_up() {
    let world = World::new();
    let process = world.process();
    process.store.meets(SLOW);
    hold_in_haste(&world, &process, 10).await;
    let (released, took) = timed(process.breaker().release()).await;
    assert_eq!(released, Ok(()));
    assert!(took < Duration::from_millis(2_000), "{took:?}");
    pass(60.0).await;
    assert_ne!(world.stored_state(), Some(CircuitState::Open), "and no hold comes after it");
}

#[tokio::test(start_paused = true)]
async fn case_202_a_later_order_replaces_those_that_have_not_begun() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.meets(SLOW);
    let until = world.clock.wall() + Duration::from_secs(3_600);
    let mut first = Box::pin(breaker.hold(Hold::open(until).reason("first")));
    let mut second = Box::pin(breaker.hold(Hold::open(until).reason("second")));
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    settle().await;
    let third = breaker.release();
    let (first, second, third) = tokio::join!(first, second, third);
    assert_eq!((first, second), (Ok(()), Err(OperatorError::Replaced)));
    assert_eq!(third, Ok(()));
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn case_202_an_order_whose_write_is_under_way_is_not_taken_back() {
    let world = World::new();
    let process = world.process();
    process.store.writes_meet(SLOW);
    hold_in_haste(&world, &process, 1).await;
    pass(1.0).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    assert_eq!(process.breaker().snapshot().state(), CircuitState::Open);
    assert_eq!(process.breaker().release().await, Ok(()), "the next order is given");
}
