//! A process with many circuits over one store that fails: what one of them has
//! found out, the others need not.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState};
use futures::future::join_all;
use serde_json::json;
use tracing::Level;

use super::AT_MOST;
use crate::support::{
    dynamodb::{Process, START, World, seconds},
    engine::{Event, now},
    log::Lines,
    world::timed,
};

/// The most back-offs that fit into a minute: 1, 2, 4, 8, 16, 30 and 30 s, each
/// up to a quarter shorter, and each after an operation of a second.
const BACK_OFFS: usize = 7;

fn name(number: usize) -> String {
    format!("circuit-{number}")
}

fn circuits(process: &Process, count: usize) -> Vec<Breaker> {
    (0..count).map(|number| process.registry.breaker(name(number)).unwrap()).collect()
}

/// A call that succeeds; it has to run. Returns how long it took.
async fn succeed(breaker: &Breaker) -> Duration {
    let (result, waited) = timed(breaker.call(|| async { Ok::<_, &str>(()) })).await;
    assert_eq!(result, Ok(()), "{}", breaker.name());
    assert!(waited <= AT_MOST, "{}: {waited:?}", breaker.name());
    waited
}

/// Fails a circuit until it is open here. Returns how long that took.
async fn trip(breaker: &Breaker) -> Duration {
    let failures = async {
        for _ in 0..5 {
            let result = breaker.call(|| async { Err::<(), _>("down") }).await;
            assert_eq!(result.unwrap_err().inner(), Some(&"down"));
        }
    };
    let ((), waited) = timed(failures).await;
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
    waited
}

async fn rejects(breaker: &Breaker) -> bool {
    breaker.admit().await.is_err()
}

#[tokio::test(start_paused = true)]
async fn case_66_circuits_called_in_turn_wait_for_a_hanging_store_once_in_a_back_off() {
    let world = World::new();
    let a = world.named("A");
    let breakers = circuits(&a, 20);
    world.engine.network("A").always(Event::LoseRequest);
    let begun = now();
    let (mut delayed, mut total) = (0, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(60) {
        for breaker in &breakers {
            let waited = succeed(breaker).await;
            delayed += usize::from(!waited.is_zero());
            total += waited;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(delayed <= BACK_OFFS, "{delayed} callers waited, for {total:?} together");
    let requests = world.engine.requests().len();
    assert!(requests <= 3 * BACK_OFFS, "{requests} requests to a store that hangs");
}

#[tokio::test(start_paused = true)]
async fn case_66_when_the_back_off_ends_one_circuit_tries_for_all() {
    let world = World::new();
    let a = world.named("A");
    let breakers = circuits(&a, 20);
    world.engine.network("A").always(Event::LoseRequest);
    succeed(&breakers[0]).await;
    for after in [1, 2, 4, 8, 16, 30] {
        seconds(after).await;
        world.engine.clear();
        let waited = join_all(breakers.iter().map(succeed)).await;
        let delayed = waited.iter().filter(|waited| !waited.is_zero()).count();
        assert_eq!(delayed, 1, "after {after} s");
        assert_eq!(world.engine.requests().len(), 3, "the attempts of one read, after {after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn case_66_circuits_called_at_once_wait_side_by_side_and_all_come_back() {
    let world = World::new();
    let a = world.named("A");
    let breakers = circuits(&a, 50);
    world.engine.network("A").always(Event::LoseRequest);
    let (waited, together) = timed(join_all(breakers.iter().map(succeed))).await;
    assert!(together <= AT_MOST, "{together:?}");
    assert!(waited.iter().all(|waited| *waited <= AT_MOST));
    for _ in 0..7 {
        for breaker in &breakers {
            assert_eq!(succeed(breaker).await, Duration::ZERO);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for number in 0..50 {
        let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START + 90});
        world.engine.put_item(&name(number), &open);
    }
    world.engine.network("A").heal();
    // Many failed at once: that is one failure of the store, and a short back-off.
    seconds(2).await;
    for breaker in &breakers {
        assert!(rejects(breaker).await, "{} does not see its item", breaker.name());
    }
}

#[tokio::test(start_paused = true)]
async fn case_67_openings_of_many_circuits_are_all_published_when_the_store_heals() {
    for fault in [Event::LoseRequest, Event::RefuseConnection, Event::Error("ThrottlingException")]
    {
        let world = World::new();
        // A trip is offered for as long as it is evidence.
        let a = world.named_with("A", |config| config.recovery_timeout(Duration::from_secs(200)));
        let breakers = circuits(&a, 20);
        join_all(breakers.iter().map(succeed)).await;
        world.engine.network("A").always(fault.clone());
        let mut total = Duration::ZERO;
        for breaker in &breakers {
            total += trip(breaker).await;
        }
        // Answers that are faults come fast; at most two of them make the rule.
        // After one the fault may be that item's; after two it is the store's.
        assert!(total <= AT_MOST * 2, "{fault:?}: {total:?} for 20 trips");
        seconds(20).await;
        world.engine.network("A").heal();
        seconds(31).await;
        for number in 0..20 {
            let item = world.engine.get_item(&name(number)).unwrap_or_default();
            assert_eq!(item["state"], "OPEN", "{fault:?}: {}", name(number));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_circuit_whose_own_item_is_at_fault_leaves_the_others_alone() {
    for code in ["ThrottlingException", "ValidationException"] {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        let breakers = circuits(&a, 5);
        world.engine.network("A").always_about(&name(0), Event::Error(code));
        let mut own = Duration::ZERO;
        for second in 0..60 {
            own += succeed(&breakers[0]).await;
            for breaker in &breakers[1..] {
                let waited = succeed(breaker).await;
                assert_eq!(waited, Duration::ZERO, "{code}: after {second} s");
            }
            seconds(1).await;
        }
        assert!(own <= AT_MOST, "{code}: {own:?}");
        // What others open is seen as soon as ever.
        trip(&b.registry.breaker(name(3)).unwrap()).await;
        for _ in 0..6 {
            for breaker in &breakers {
                let _ = breaker.call(|| async { Ok::<_, &str>(()) }).await;
            }
            seconds(1).await;
        }
        assert!(rejects(&breakers[3]).await, "{code}: the opening is not seen");
    }
}

#[tokio::test(start_paused = true)]
async fn one_circuit_whose_own_item_hangs_does_not_blind_the_others() {
    // From any point of the back-offs of the one that hangs.
    for tripped in (40..70).step_by(3) {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        let breakers = circuits(&a, 5);
        world.engine.network("A").always_about(&name(0), Event::LoseRequest);
        let begun = now();
        let mut total = Duration::ZERO;
        let mut limit = Duration::MAX;
        while breakers[3].snapshot().state() == CircuitState::Closed {
            let elapsed = begun.elapsed();
            if elapsed.as_secs() >= tripped && world.engine.get_item(&name(3)).is_none() {
                trip(&b.registry.breaker(name(3)).unwrap()).await;
                // The age of what is known, a wait of the one that hangs, a back-off
                // of a second, and a look for itself.
                limit = elapsed + Duration::from_secs(9);
            }
            for breaker in &breakers {
                let call = breaker.call(|| async { Ok::<_, &str>(()) });
                let (_, waited) = timed(call).await;
                assert!(waited <= AT_MOST, "{}: {waited:?}", breaker.name());
                total += waited;
            }
            assert!(elapsed < limit, "tripped after {tripped} s, and not seen");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        assert!(total <= AT_MOST * 10, "{total:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_logged_once_in_a_back_off_and_not_for_each_circuit() {
    for (fault, level, lines) in [
        (Event::LoseRequest, Level::WARN, BACK_OFFS),
        // A back-off of a minute, less a quarter; a second circuit may make sure.
        (Event::Error("AccessDeniedException"), Level::ERROR, 4),
    ] {
        let world = World::new();
        let a = world.named("A");
        let breakers = circuits(&a, 20);
        world.engine.network("A").always(fault.clone());
        let logged = Lines::of(level);
        let begun = now();
        while begun.elapsed() < Duration::from_secs(60) {
            for breaker in &breakers {
                succeed(breaker).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let logged = logged.take();
        assert!((1..=lines).contains(&logged), "{fault:?}: {logged} lines in a minute");
    }
}
