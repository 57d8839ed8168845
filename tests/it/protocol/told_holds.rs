//! Holds and their ends, as subscribers and the log are told of them.

use std::time::{Duration, SystemTime};

use fuseboard::{Cause, CircuitState, CircuitTransition, Config, Hold, Origin};
use serde_json::json;
use tracing::Level;

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World, seconds},
    log::Lines,
    world::heard,
};

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn closed(until: i64, reason: &str) -> Hold {
    Hold::closed(at(until)).reason(reason).by("ops")
}

fn open(until: i64, reason: &str) -> Hold {
    Hold::open(at(until)).reason(reason).by("ops")
}

const NOTHING: [Vec<String>; 2] = [Vec::new(), Vec::new()];

/// A transition in short: states, cause, origin, and the reasons of the hold and of that before.
fn told(transition: &CircuitTransition) -> String {
    let reason = |hold: &Option<fuseboard::HoldInfo>| match hold {
        Some(hold) => format!("{} {}", hold.kind, hold.reason),
        None => "-".to_owned(),
    };
    let CircuitTransition { from_state, to_state, cause, origin, .. } = transition;
    let (hold, before) = (reason(&transition.hold), reason(&transition.ended_hold));
    format!("{from_state}>{to_state} {cause:?} {origin:?} {hold} after {before}")
}

/// What each of two processes has been told since the last time, after the second has read.
async fn tell(a: &Process, b: &Process) -> [Vec<String>; 2] {
    b.circuit().refresh().await.unwrap();
    [a, b].map(|process| process.transitions().iter().map(told).collect())
}

/// Both processes go on reading the item.
async fn read_on(a: &Process, b: &Process) {
    for _ in 0..5 {
        seconds(6).await;
        for process in [a, b] {
            let _ = process.ok().await;
            process.circuit().refresh().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_133_each_process_tells_once_of_each_hold_closed_and_of_its_release() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    assert_eq!(b.ok().await, Call::Ok);
    a.circuit().hold(closed(START + 600, "load test")).await.unwrap();
    let is_told = |told: [Vec<String>; 2], by_a: &str, by_b: &str| {
        assert_eq!(told, [vec![by_a.to_owned()], vec![by_b.to_owned()]]);
    };
    is_told(
        tell(&a, &b).await,
        "CLOSED>CLOSED Hold Local closed load test after -",
        "CLOSED>CLOSED Hold Observed closed load test after -",
    );
    read_on(&a, &b).await;
    assert_eq!(tell(&a, &b).await, NOTHING, "once");
    // The same end, and another reason; then the same reason, and another end.
    for (until, reason, before) in [(600, "leave it", "load test"), (900, "leave it", "leave it")] {
        b.circuit().hold(closed(START + until, reason)).await.unwrap();
        is_told(
            tell(&b, &a).await,
            &format!("CLOSED>CLOSED Hold Local closed {reason} after closed {before}"),
            &format!("CLOSED>CLOSED Hold Observed closed {reason} after closed {before}"),
        );
    }
    // Who starts under it tells it as well.
    let late = world.named("late");
    assert_eq!(late.ok().await, Call::Ok);
    let heard: Vec<_> = late.transitions().iter().map(told).collect();
    assert_eq!(heard, ["CLOSED>CLOSED Hold Observed closed leave it after -"]);
    read_on(&a, &b).await;
    a.circuit().release().await.unwrap();
    is_told(
        tell(&a, &b).await,
        "CLOSED>CLOSED Release Local - after closed leave it",
        "CLOSED>CLOSED Release Observed - after closed leave it",
    );
    read_on(&a, &b).await;
    assert_eq!(tell(&a, &b).await, NOTHING, "once");
    // The same hold again is another one.
    a.circuit().hold(closed(START + 900, "leave it")).await.unwrap();
    is_told(
        tell(&a, &b).await,
        "CLOSED>CLOSED Hold Local closed leave it after -",
        "CLOSED>CLOSED Hold Observed closed leave it after -",
    );
}

#[tokio::test(start_paused = true)]
async fn case_134_each_process_tells_once_of_each_hold_open_and_of_its_end() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    assert!(b.ok().await.is_rejected());
    let _ = tell(&a, &b).await;
    let mut before = "-".to_owned();
    for (until, reason) in [(60, "no"), (60, "not yet"), (90, "not yet")] {
        a.circuit().hold(open(START + until, reason)).await.unwrap();
        assert_eq!(
            tell(&a, &b).await,
            [
                vec![format!("OPEN>OPEN Hold Local open {reason} after {before}")],
                vec![format!("OPEN>OPEN Hold Observed open {reason} after {before}")]
            ]
        );
        before = format!("open {reason}");
    }
    read_on(&a, &b).await;
    assert_eq!(tell(&a, &b).await, NOTHING, "once");
    seconds(70).await;
    assert_eq!(b.ok().await, Call::Ok, "it probes");
    assert_eq!(
        b.transitions().iter().map(told).collect::<Vec<_>>(),
        ["OPEN>HALF_OPEN RecoveryTimeout Local - after open not yet"]
    );
    // Another program opens it over a hold: an opening as any other.
    a.circuit().hold(open(START + 900, "no")).await.unwrap();
    let _ = tell(&a, &b).await;
    let row = json!({
        "state": "OPEN", "failure_count": 5, "opened_at": START + 101, "expiration": START + 3_731,
    });
    world.engine.put_item(CIRCUIT, &row);
    let over = "OPEN>OPEN Elsewhere Observed - after open no";
    a.circuit().refresh().await.unwrap();
    assert_eq!(tell(&a, &b).await, [[over], [over]]);
    assert_eq!(b.circuit().snapshot().hold(), None);
}

#[tokio::test(start_paused = true)]
async fn case_134_the_end_of_a_hold_closed_is_told_without_a_call_and_before_a_trip() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(closed(START + 60, "load test")).await.unwrap();
    assert_eq!(b.ok().await, Call::Ok);
    seconds(6).await;
    let _ = [a.transitions(), b.transitions()];
    seconds(50).await;
    assert_eq!((a.transitions(), b.transitions()), (vec![], vec![]));
    seconds(5).await;
    let ended = "CLOSED>CLOSED HoldEnded WithoutStore - after closed load test";
    for process in [&a, &b] {
        let heard = process.transitions();
        assert_eq!(heard.iter().map(told).collect::<Vec<_>>(), [ended]);
        assert_eq!(heard[0].at, at(START + 60));
    }
    read_on(&a, &b).await;
    assert_eq!(tell(&a, &b).await, NOTHING, "once");
    a.trip().await;
    b.circuit().refresh().await.unwrap();
    let heard = b.transitions();
    assert_eq!((&heard[0].cause, heard[0].to_state), (&Cause::Elsewhere, CircuitState::Open));
    assert_eq!((heard[0].origin, &heard[0].ended_hold), (Origin::Observed, &None));
}

/// Without a handle a closed circuit is forgotten, and its hold told again by the next call.
#[tokio::test(start_paused = true)]
async fn case_134_a_circuit_without_handles_is_kept_while_it_is_held_closed() {
    let world = World::new();
    let a = world.named("A");
    a.circuit().hold(closed(START + 600, "load test")).await.unwrap();
    let b = world.over(world.engine.store("B"), Config::default());
    let mut transitions = b.registry.subscribe();
    for _ in 0..5 {
        b.breaker().call(|| async { Ok::<_, &str>(()) }).await.unwrap();
        seconds(60).await;
    }
    let causes: Vec<_> = heard(&mut transitions).into_iter().map(|told| told.cause).collect();
    assert_eq!(causes, [Cause::Hold]);
    assert_eq!(b.registry.len(), 1);
    seconds(400).await;
    assert_eq!(heard(&mut transitions).len(), 1, "its end");
    assert_eq!(b.registry.len(), 0, "forgotten");
}

/// The lines of the log since the last time, without what every transition has.
fn said(lines: &Lines) -> Vec<String> {
    let without = |line: String| line.replace(" circuit=payment-backend", "");
    lines.take_texts().into_iter().map(without).collect()
}

#[tokio::test(start_paused = true)]
async fn case_134_the_log_says_who_holds_a_circuit_why_and_until_when_and_so_does_its_end() {
    let lines = Lines::of(Level::INFO);
    let world = World::new();
    let a = world.named("A");
    let long = closed(START + 600, "load\ntest");
    a.circuit().hold(long).await.unwrap();
    let same = "from=CLOSED to=CLOSED";
    let why = r#"hold_by="ops" hold_reason="load\\ntest" hold_until=1000600"#;
    let local = |cause: &str| format!("cause={cause} origin=Local");
    assert_eq!(
        said(&lines),
        [format!(
            " message=circuit is held in the state that it had {same} {} {why}",
            local("Hold")
        )]
    );
    for _ in 0..5 {
        assert_eq!(a.fail().await, Call::Failed);
    }
    assert_eq!(
        said(&lines),
        [format!(
            " message=circuit would open, and is held closed {same} cause=WouldOpen \
             origin=WithoutStore {why}"
        )]
    );
    a.circuit().release().await.unwrap();
    assert_eq!(
        said(&lines),
        [format!(
            " message=circuit is held no more, and keeps its state {same} {} {why}",
            local("Release")
        )]
    );
    let hold = Hold::open(at(START + 700));
    a.circuit().hold(hold).await.unwrap();
    assert_eq!(
        said(&lines),
        [format!(
            " message=circuit changed its state from=CLOSED to=OPEN {} hold_reason=\"\" \
             hold_until=1000700",
            local("Hold")
        )]
    );
    a.circuit().release().await.unwrap();
    assert!(said(&lines)[0].ends_with("origin=Local hold_reason=\"\" hold_until=1000700"));
    a.trip().await;
    let tripped = said(&lines);
    assert!(!tripped[0].contains("hold_"), "{tripped:?}");
}
