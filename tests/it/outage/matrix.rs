//! Every fault, and what each costs: the rows are in [`rows`], the columns are
//! the tests.

use std::time::Duration;

use fuseboard::{
    CircuitName, CircuitState,
    store::{
        Consistency, Store,
        StoreErrorKind::{self, BadAnswer, Misconfigured, Throttled, Timeout, Unavailable},
    },
};
use serde_json::{Value, json};

use super::{AT_MOST, timed_fail, timed_ok};
use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World, seconds},
    engine::{Event, now},
};

/// One kind of fault, for as long as it lasts.
struct Row {
    name: &'static str,
    fault: Event,
    /// What the store calls it.
    kind: StoreErrorKind,
    /// Requests that the SDK sends for one operation.
    attempts: usize,
    /// Writes are made all the same; only their answers are lost.
    applied: bool,
}

const fn row(name: &'static str, fault: Event, kind: StoreErrorKind, attempts: usize) -> Row {
    Row { name, fault, kind, attempts, applied: false }
}

impl Row {
    const fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// How many operations fail before there is a back-off: a first read that
    /// fails fast is tried again by the next call (case 63), but not one that was
    /// answered by being throttled.
    fn tries(&self) -> usize {
        if matches!(self.kind, Timeout | Misconfigured | Throttled) { 1 } else { 2 }
    }

    /// How often 10 ms fit well into the shortest back-off: 1 s, less a quarter, and
    /// half a second where the store asks for it.
    fn shortest_back_off(&self) -> usize {
        if self.kind == Throttled { 45 } else { 70 }
    }

    /// What is told of a trip: throttling is an answer of a store that is alive, and
    /// nothing is decided without it before the trip has lapsed.
    fn told_at_once(&self) -> &'static [&'static str] {
        if self.kind == Throttled { &[] } else { &["CLOSED>OPEN alone"] }
    }

    /// Longer than any back-off of this fault.
    fn back_off(&self) -> u64 {
        if self.kind == Misconfigured { 61 } else { 31 }
    }
}

const HTML: &str = "<html>Service Unavailable</html>";

fn rows() -> [Row; 19] {
    let refuse = |name| row(name, Event::Error(name), Misconfigured, 1);
    [
        row("no connection", Event::RefuseConnection, Unavailable, 3),
        row("reset", Event::ResetBefore, Unavailable, 3),
        row("reset after the write", Event::ResetAfter, Unavailable, 3).applied(),
        row("closed in mid-body", Event::BreakOff, Unavailable, 3).applied(),
        row("hang", Event::LoseRequest, Timeout, 3),
        row("hang after the write", Event::LoseAnswer, Timeout, 3).applied(),
        row("slow", Event::DelayBefore(Duration::from_millis(401)), Timeout, 3),
        row("slow after the write", Event::DelayAfter(Duration::from_millis(401)), Timeout, 3)
            .applied(),
        row("500", Event::Error("InternalServerError"), Unavailable, 3),
        row("503 with HTML", Event::Answer(503, HTML), Unavailable, 3),
        row("throttled", Event::Error("ThrottlingException"), Throttled, 3),
        row("throttled item", Event::Error("ProvisionedThroughputExceededException"), Throttled, 3),
        row("429", Event::Answer(429, ""), Throttled, 1),
        row("empty 200", Event::Answer(200, ""), BadAnswer, 1),
        row("200 []", Event::Answer(200, "[]"), BadAnswer, 1),
        row("200 with HTML", Event::Answer(200, HTML), BadAnswer, 1),
        refuse("ExpiredTokenException"),
        refuse("ResourceNotFoundException"),
        refuse("AccessDeniedException"),
    ]
}

/// A process whose every request meets the fault.
async fn out(row: &Row) -> (World, Process) {
    let world = World::new();
    let a = world.named("A");
    world.engine.network("A").always(row.fault.clone());
    (world, a)
}

#[tokio::test(start_paused = true)]
async fn every_row_is_of_the_kind_that_it_says() {
    for row in rows() {
        let (world, _a) = out(&row).await;
        let name = CircuitName::new(CIRCUIT).unwrap();
        let begun = now();
        let read = world.engine.store("A").read(&name, Consistency::Strong).await;
        assert_eq!(read.unwrap_err().kind(), row.kind, "{}", row.name);
        assert!(begun.elapsed() <= AT_MOST, "{}", row.name);
        assert_eq!(world.engine.requests().len(), row.attempts, "{}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn cases_63_and_66_a_cold_call_runs_after_a_bounded_wait_and_the_next_ones_at_once() {
    for row in rows() {
        let (world, a) = out(&row).await;
        for tries in 1..=row.tries() {
            let (call, waited) = timed_ok(&a).await;
            assert_eq!(call, Call::Ok, "{}", row.name);
            assert!(waited <= AT_MOST, "{}: {waited:?}", row.name);
            assert_eq!(world.engine.requests().len(), tries * row.attempts, "{}", row.name);
        }
        world.engine.clear();
        for _ in 0..row.shortest_back_off() {
            assert_eq!(timed_ok(&a).await, (Call::Ok, Duration::ZERO), "{}", row.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.engine.requests().len(), 0, "{}", row.name);
        assert_eq!(a.heard(), [""; 0], "{}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn case_64_the_call_that_trips_gets_its_own_error_after_a_bounded_wait() {
    for row in rows() {
        let world = World::new();
        let a = world.named("A");
        assert_eq!(a.ok().await, Call::Ok);
        world.engine.network("A").always(row.fault.clone());
        for _ in 0..4 {
            assert_eq!(timed_fail(&a).await, (Call::Failed, Duration::ZERO), "{}", row.name);
        }
        world.engine.clear();
        let (call, waited) = timed_fail(&a).await;
        assert_eq!(call, Call::Failed, "{}", row.name);
        assert!(waited <= AT_MOST, "{}: {waited:?}", row.name);
        // The caller and the actor may give up at the same instant.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(world.engine.requests().len(), row.attempts, "{}", row.name);
        assert_eq!(a.heard(), row.told_at_once(), "{}: nobody knows of an answer", row.name);
        let tripped = if row.applied { json!("OPEN") } else { Value::Null };
        assert_eq!(world.attribute("state"), tripped, "{}", row.name);
        for _ in 0..row.shortest_back_off() {
            let (call, waited) = timed_ok(&a).await;
            assert!(call.is_rejected() && waited.is_zero(), "{}: {call:?} {waited:?}", row.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.engine.requests().len(), row.attempts, "{}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn case_65_few_calls_reach_a_dependency_that_is_down_with_its_store() {
    for row in rows() {
        let (_world, a) = out(&row).await;
        let (mut reached, mut delayed) = (0, 0);
        // 100 s: the recovery is due three times.
        for _ in 0..200 {
            let (call, waited) = timed_fail(&a).await;
            assert!(waited <= AT_MOST, "{}: {waited:?}", row.name);
            reached += usize::from(call == Call::Failed);
            delayed += usize::from(!waited.is_zero());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!((6..=5 + 3).contains(&reached), "{}: {reached} calls", row.name);
        assert!(delayed <= 10, "{}: {delayed} callers waited", row.name);
        let heard = a.heard();
        let told = heard.first().map(String::as_str);
        assert_eq!(told, Some("CLOSED>OPEN alone"), "{}", row.name);
        let turns = ["OPEN>HALF_OPEN alone", "HALF_OPEN>OPEN alone"];
        for (told, turn) in heard[1..].iter().zip(turns.iter().cycle()) {
            assert_eq!(told, turn, "{}", row.name);
        }
        // The last reopening is still offered to a store that throttles.
        assert_eq!(heard.len() % 2, usize::from(row.kind != Throttled), "{}: {heard:?}", row.name);
    }
}

#[tokio::test(start_paused = true)]
async fn case_65_a_recovery_without_the_store_probes_one_call_at_a_time() {
    for row in rows() {
        let (_world, a) = out(&row).await;
        a.trip().await;
        let tripped = now();
        while tripped.elapsed() < Duration::from_secs(29) {
            assert!(a.ok().await.is_rejected(), "{}", row.name);
            seconds(1).await;
        }
        let probe = loop {
            if let Ok(permit) = a.circuit().admit().await {
                break permit;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(tripped.elapsed() < Duration::from_secs(33), "{}: no probe", row.name);
        };
        assert!(probe.is_probe(), "{}", row.name);
        for _ in 0..10 {
            assert!(a.ok().await.is_rejected(), "{}: two probes at once", row.name);
        }
        probe.success().settled().await;
        assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok), "{}", row.name);
        assert_eq!(a.state(), CircuitState::Closed, "{}", row.name);
        assert_eq!(
            a.heard(),
            ["CLOSED>OPEN alone", "OPEN>HALF_OPEN alone", "HALF_OPEN>CLOSED alone"],
            "{}",
            row.name
        );
    }
}

/// What stood in the table when the circuit was last read, what stands there when the
/// store answers again, and whether an opening that was decided without it is
/// published over that: over the closed item of the epoch in which it was counted, or
/// over none (case 196).
fn found() -> [(Option<Value>, Option<Value>, bool); 8] {
    let later = START + 300;
    let closed = |until| Some(json!({"state": "CLOSED", "failure_count": 0, "expiration": until}));
    let paused = |until| Some(json!({"state": "PAUSED", "expiration": until}));
    let open = json!({"state": "OPEN", "failure_count": 9, "opened_at": START + 7});
    let half_open = json!({"state": "HALF_OPEN", "opened_at": START, "half_open_owner": "another",
        "probe_lease_expiry": later});
    [
        (None, None, true),
        (closed(later), None, true),
        (closed(later), closed(later), true),
        (paused(later), paused(later), true),
        (None, closed(later), false),
        (closed(later), closed(later + 1), false),
        (None, Some(open), false),
        (None, Some(half_open), false),
    ]
}

#[tokio::test(start_paused = true)]
async fn case_67_a_store_that_heals_is_offered_a_local_opening() {
    for (row, warm) in rows().iter().flat_map(|row| [(row, false), (row, true)]) {
        for (before, item, published) in found() {
            let context = format!("{}, {before:?}, over {item:?}, warm {warm}", row.name);
            // Who has never read it cannot know that a closed item is of another epoch.
            let is_closed = item.as_ref().is_none_or(|item| item["state"] == "CLOSED");
            let published = published || (is_closed && !warm);
            let world = World::new();
            let long = |config: fuseboard::ConfigBuilder| {
                config.recovery_timeout(Duration::from_secs(200))
            };
            let a = world.named_with("A", long);
            if warm {
                if let Some(before) = &before {
                    world.engine.put_item(CIRCUIT, before);
                }
                assert_eq!(a.ok().await, Call::Ok);
            }
            world.engine.network("A").always(row.fault.clone());
            a.trip().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let told = row.told_at_once();
            assert_eq!(a.heard(), told, "{context}");
            let from = if told.is_empty() { "CLOSED" } else { "OPEN" };
            let opened_at = a.circuit().snapshot().circuit().opened_at;
            match &item {
                Some(item) => world.engine.put_item(CIRCUIT, item),
                None => world.engine.delete_item(CIRCUIT),
            }
            let before = world.item();
            world.engine.network("A").heal();
            // Nobody calls: what is owed is written all the same.
            seconds(row.back_off()).await;
            if published {
                assert_eq!(world.attribute("state"), "OPEN", "{context}");
                assert_eq!(world.attribute("failure_count"), 5, "{context}");
                assert_eq!(world.attribute("opened_at"), json!(opened_at), "{context}");
                let late: &[&str] = if told.is_empty() { &["CLOSED>OPEN local"] } else { &[] };
                assert_eq!(a.heard(), late, "{context}: told once");
            } else {
                assert_eq!(world.item(), before, "{context}: the item wins");
                let shown = a.circuit().snapshot();
                assert_eq!(world.attribute("state"), shown.state().to_string(), "{context}");
                assert_eq!(world.attribute("opened_at"), json!(shown.circuit().opened_at));
                let to = shown.state().to_string();
                let told = (from != to).then(|| format!("{from}>{to} observed"));
                assert_eq!(a.heard(), Vec::from_iter(told), "{context}");
            }
            let other = world.named_with("B", long).ok().await;
            assert_eq!(other.is_rejected(), published || !is_closed, "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_67_a_circuit_that_recovered_alone_yields_to_the_item() {
    for row in rows() {
        for state in ["", "CLOSED", "OPEN"] {
            let context = format!("{}, over {state:?}", row.name);
            let (world, a) = out(&row).await;
            a.trip().await;
            while a.state() != CircuitState::Closed {
                a.ok().await;
                seconds(1).await;
            }
            a.heard();
            let item = json!({"state": state, "opened_at": START + 300, "expiration": START + 301});
            match state {
                "" => world.engine.delete_item(CIRCUIT),
                _ => world.engine.put_item(CIRCUIT, &item),
            }
            let before = world.item();
            world.engine.network("A").heal();
            let healed = now();
            while a.state() == CircuitState::Closed
                && healed.elapsed() < Duration::from_secs(row.back_off())
            {
                let (call, waited) = timed_ok(&a).await;
                assert!(waited <= AT_MOST, "{context}: {waited:?}");
                assert!(call == Call::Ok || state == "OPEN", "{context}: {call:?}");
                seconds(1).await;
            }
            let observed: &[&str] = if state == "OPEN" { &["CLOSED>OPEN observed"] } else { &[] };
            assert_eq!(a.heard(), observed, "{context}");
            assert_eq!(world.item(), before, "{context}: nothing is owed");
        }
    }
}
