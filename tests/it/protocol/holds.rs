//! Holds of either kind: what the item tells, and what every process makes of it.

use std::time::{Duration, SystemTime};

use fuseboard::{Breaker, Cause, CircuitState, Hold, HoldKind, Origin, Reason, store::Operation};
use serde_json::json;

use crate::support::{
    dynamodb::{CIRCUIT, Call, Process, START, World, seconds},
    engine::Event,
};

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn load_test(until: i64) -> Hold {
    Hold::closed(at(until)).reason("load test").by("ops")
}

async fn fail(process: &Process, times: usize) {
    for _ in 0..times {
        assert_eq!(process.fail().await, Call::Failed);
    }
}

fn with_timeout(world: &World, label: &str, timeout: u64) -> Process {
    world.named_with(label, |config| config.recovery_timeout(Duration::from_secs(timeout)))
}

/// Until when, by whom and why a process says that the circuit is held.
fn told(breaker: &Breaker) -> Option<(HoldKind, SystemTime, Option<String>, String)> {
    let snapshot = breaker.snapshot();
    let hold = snapshot.hold()?;
    let by = hold.by.as_deref().map(str::to_owned);
    Some((hold.kind, hold.until, by, hold.reason.to_string()))
}

#[tokio::test(start_paused = true)]
async fn case_133_a_hold_closed_admits_all_and_failures_trip_nothing_until_its_end() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    assert_eq!(b.ok().await, Call::Ok);
    a.circuit().hold(load_test(START + 600)).await.unwrap();
    let item = json!({
        "state": "CLOSED",
        "failure_count": 0,
        "expiration": START + 600 + 3_600,
        "released": START,
        "hold": "closed",
        "hold_until": START + 600,
        "hold_by": "ops",
        "hold_reason": "load test",
    });
    assert_eq!(world.item(), Some(item.clone()));
    seconds(6).await;
    for (process, origin) in [(&a, Origin::Local), (&b, Origin::Observed)] {
        fail(process, 17).await;
        let heard = process.transitions();
        let causes: Vec<_> = heard.iter().map(|told| (&told.cause, told.origin)).collect();
        let would_open = (&Cause::WouldOpen, Origin::WithoutStore);
        assert_eq!(causes, [(&Cause::Hold, origin), would_open], "once");
        let hold = heard[1].hold.as_ref().unwrap();
        assert_eq!((&*hold.reason, hold.kind), ("load test", HoldKind::Closed));
        let closed = (CircuitState::Closed, CircuitState::Closed);
        assert_eq!((heard[1].from_state, heard[1].to_state), closed);
        let held = (HoldKind::Closed, at(START + 600), Some("ops".into()), "load test".into());
        assert_eq!(told(process.circuit()), Some(held));
    }
    assert_eq!((world.engine.count("UpdateItem"), world.item()), (1, Some(item)));
    seconds(595).await;
    assert_eq!(told(b.circuit()), None, "it is over, and a timer says so");
    // Two of the 17 failures stand: the last five in a row trip.
    fail(&b, 3).await;
    assert_eq!(b.state(), CircuitState::Open, "the rules apply");
    let item = world.item().unwrap();
    assert_eq!((&item["state"], &item["cause"]), (&json!("OPEN"), &json!("failure_threshold")));
    for gone in ["hold", "hold_until", "hold_by", "hold_reason", "released"] {
        assert_eq!(item[gone], json!(null), "{gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_133_the_trip_of_who_has_not_read_a_hold_closed_is_refused() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    world.engine.put_item(CIRCUIT, &json!({"state": "CLOSED", "expiration": START + 3_630}));
    assert_eq!(b.ok().await, Call::Ok);
    fail(&b, 4).await;
    world.engine.network("B").on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(200)));
    let hold = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(b.state(), CircuitState::Open, "here, and at once");
        // It expires in the same second as the closing that the trip has seen.
        a.circuit().hold(load_test(START + 30)).await.unwrap();
    };
    let (last, ()) = tokio::join!(b.fail(), hold);
    assert_eq!(last, Call::Failed);
    assert_eq!(world.attribute("expiration"), START + 3_630);
    assert_eq!((world.attribute("hold"), b.state()), (json!("closed"), CircuitState::Closed));
    assert_eq!(b.ok().await, Call::Ok);
    assert_eq!(b.heard(), ["CLOSED>CLOSED observed"], "of the hold, and not of the opening");
    assert_eq!(told(b.circuit()).unwrap().3, "load test");
}

#[tokio::test(start_paused = true)]
async fn case_133_failures_from_before_the_first_read_do_not_trip_over_a_hold_closed() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(load_test(START + 600)).await.unwrap();
    world.engine.network("B").on("GetItem", 3, Event::Error("InternalServerError"));
    fail(&b, 5).await;
    assert_eq!((world.attribute("hold"), b.state()), (json!("closed"), CircuitState::Closed));
    assert_eq!(world.engine.count("UpdateItem"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_133_a_hold_closed_ends_every_opening_and_the_probe_of_another() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    assert!(b.ok().await.is_rejected());
    seconds(31).await;
    let probe = a.circuit().admit().await.unwrap();
    b.circuit().hold(load_test(START + 600)).await.unwrap();
    probe.failure().settled().await;
    assert_eq!((a.state(), b.state()), (CircuitState::Closed, CircuitState::Closed));
    let heard = a.transitions();
    let last = heard.last().unwrap();
    assert_eq!((&last.cause, last.origin), (&Cause::Hold, Origin::Observed));
    assert_eq!(world.attribute("down_since"), json!(null), "no outage while it is held closed");
    for process in [&a, &b] {
        fail(process, 9).await;
        assert_eq!(process.state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn case_133_a_release_ends_a_hold_closed_and_one_hold_replaces_another() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(load_test(START + 600)).await.unwrap();
    b.circuit().hold(Hold::open_for(Duration::from_secs(60)).reason("no")).await.unwrap();
    assert_eq!((world.attribute("hold"), world.attribute("hold_by")), (json!(null), json!(null)));
    assert!(b.ok().await.is_rejected());
    seconds(6).await;
    assert_eq!(a.ok().await.rejection().reason(), Reason::Held { reason: "no".into() });
    a.circuit().hold(load_test(START + 600)).await.unwrap();
    assert_eq!((world.attribute("hold"), a.ok().await), (json!("closed"), Call::Ok));
    seconds(6).await;
    assert_eq!(b.ok().await, Call::Ok);
    b.circuit().release().await.unwrap();
    let item = world.item().unwrap();
    assert_eq!((&item["state"], &item["hold"]), (&json!("CLOSED"), &json!(null)));
    assert_eq!(item["hold_until"], START + 12, "when it was released");
    seconds(6).await;
    fail(&a, 5).await;
    assert_eq!((a.state(), world.attribute("hold_until")), (CircuitState::Open, json!(null)));
}

/// Who holds has another recovery timeout than those that end the hold.
#[tokio::test(start_paused = true)]
async fn case_134_every_process_tells_a_hold_open_and_ends_it_at_its_end() {
    for (of_holder, of_other) in [(12, 3), (12, 30), (30, 3), (3, 300)] {
        let world = World::new();
        let (a, b) = (with_timeout(&world, "A", of_holder), with_timeout(&world, "B", of_other));
        assert_eq!(b.ok().await, Call::Ok);
        a.circuit().hold(Hold::open(at(START + 40)).reason("no").by("ops")).await.unwrap();
        let item = world.item().unwrap();
        assert_eq!(item["hold_until"], START + 40);
        assert_eq!((&item["hold_by"], &item["hold_reason"]), (&json!("ops"), &json!("no")));
        let ttl = item["expiration"].as_i64().unwrap();
        assert!(ttl >= START + 40 + 3_600, "{ttl}");
        seconds(6).await;
        for _ in 6..40 {
            let open = b.ok().await.rejection();
            assert_eq!(open.reason(), Reason::Held { reason: "no".into() });
            assert_eq!(open.hold().unwrap().by.as_deref(), Some("ops"));
            let text = open.to_string();
            assert!(text.contains("is OPEN, held open by ops: no; retry in"), "{text}");
            let held = (HoldKind::Open, at(START + 40), Some("ops".into()), "no".into());
            assert_eq!(told(b.circuit()), Some(held));
            seconds(1).await;
        }
        let heard = b.transitions();
        assert_eq!((&heard[0].cause, heard[0].origin), (&Cause::Hold, Origin::Observed));
        assert_eq!(&*heard[0].hold.as_ref().unwrap().reason, "no");
        assert_eq!(
            (heard[0].down_since, &heard[0].outage_cause),
            (Some(START), &Some(Cause::Hold))
        );
        let case = format!("{of_holder} and {of_other}");
        assert_eq!(b.ok().await, Call::Ok, "{case}: it probes");
        assert_eq!(world.attribute("hold_until"), json!(null), "{case}");
        assert_eq!(told(b.circuit()), None, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_134_every_process_ends_a_hold_closed_at_its_end() {
    for (of_holder, of_other) in [(12, 3), (3, 300)] {
        let world = World::new();
        let (a, b) = (with_timeout(&world, "A", of_holder), with_timeout(&world, "B", of_other));
        a.circuit().hold(load_test(START + 40)).await.unwrap();
        seconds(39).await;
        fail(&b, 10).await;
        assert_eq!(b.state(), CircuitState::Closed);
        seconds(1).await;
        fail(&b, 5).await;
        assert_eq!(b.state(), CircuitState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn case_134_a_hold_of_an_older_version_ends_by_its_stamp() {
    let world = World::new();
    let b = world.named("B");
    for hold_until in [json!(null), json!("soon"), json!(-7), json!(0), json!(START * 1_000)] {
        let mut item = json!({
            "state": "OPEN", "failure_count": 0, "opened_at": START + 10,
            "half_open_owner": "hold#a\nb\u{1b}[2J", "expiration": START + 4_000,
            "hold_by": "x\u{202e}y", "hold_reason": "a\nb\u{1b}[2J",
        });
        if hold_until != json!(null) {
            item["hold_until"] = hold_until.clone();
        }
        world.engine.put_item(CIRCUIT, &item);
        b.circuit().refresh().await.unwrap();
        let (kind, until, _, reason) = told(b.circuit()).unwrap();
        assert_eq!((kind, until), (HoldKind::Open, at(START + 40)), "{hold_until}");
        assert_eq!(reason, "a\nb\u{1b}[2J", "as it stands");
        let open = b.ok().await.rejection();
        let text = open.to_string();
        assert!(text.contains(r"held open by x\u{202e}y: a\nb\u{1b}[2J;"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_133_a_hold_closed_without_an_end_is_none() {
    let world = World::new();
    for (number, hold_until) in
        [json!(null), json!("soon"), json!(-7), json!(START)].iter().enumerate()
    {
        let b = world.named(&format!("B{number}"));
        let mut item = json!({"state": "CLOSED", "hold": "closed", "expiration": START + 4_000});
        if *hold_until != json!(null) {
            item["hold_until"] = hold_until.clone();
        }
        world.engine.put_item(CIRCUIT, &item);
        assert_eq!((b.ok().await, told(b.circuit())), (Call::Ok, None), "{hold_until}");
        fail(&b, 5).await;
        assert_eq!(b.state(), CircuitState::Open, "{hold_until}");
        assert_eq!(world.attribute("hold"), json!(null), "{hold_until}");
    }
}

/// Its `PutItem` replaces the row: see `interop::held` for the reference itself.
#[tokio::test(start_paused = true)]
async fn case_135_a_row_of_the_reference_over_a_hold_closed_is_an_opening_as_any() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(load_test(START + 600)).await.unwrap();
    assert_eq!(b.ok().await, Call::Ok);
    seconds(6).await;
    let row = json!({
        "state": "OPEN", "failure_count": 5, "opened_at": START + 6, "expiration": START + 3_636,
    });
    world.engine.put_item(CIRCUIT, &row);
    for process in [&a, &b] {
        assert_eq!(process.ok().await.rejection().reason(), Reason::Tripped);
        assert_eq!(told(process.circuit()), None);
        let snapshot = process.circuit().snapshot();
        assert_eq!(
            (snapshot.down_since(), snapshot.cause()),
            (Some(at(START + 6)), Some(&Cause::Elsewhere))
        );
    }
    seconds(30).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok, "recovers as from any opening");
    }
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test(start_paused = true)]
async fn case_134_a_hold_outlasts_a_store_that_cannot_be_read() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.circuit().hold(load_test(START + 60)).await.unwrap();
    assert_eq!(b.ok().await, Call::Ok);
    world.engine.network("B").always_on("GetItem", Event::Error("InternalServerError"));
    seconds(50).await;
    fail(&b, 10).await;
    assert_eq!(b.state(), CircuitState::Closed);
    seconds(10).await;
    fail(&b, 5).await;
    assert_eq!(b.state(), CircuitState::Open);
}

/// An item of this version in the hands of one that does not know the attributes: it keeps them.
#[tokio::test(start_paused = true)]
async fn case_185_three_reopenings_keep_what_the_outage_began_with() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    a.trip().await;
    let began = |process: &Process| {
        let snapshot = process.circuit().snapshot();
        (snapshot.down_since(), snapshot.cause().cloned())
    };
    let first = (Some(at(START)), Some(Cause::FailureThreshold));
    for reopening in 1..=3 {
        seconds(31).await;
        let prober = if reopening == 2 { &b } else { &a };
        assert_eq!(prober.fail().await, Call::Failed);
        let item = world.item().unwrap();
        assert_eq!(item["opened_at"], START + 31 * reopening);
        assert_eq!(
            (&item["down_since"], &item["cause"]),
            (&json!(START), &json!("failure_threshold"))
        );
        let late = world.named(&format!("late {reopening}"));
        assert!(late.ok().await.is_rejected());
        for process in [&a, &b, &late] {
            process.circuit().refresh().await.unwrap();
            assert_eq!(began(process), first, "reopening {reopening}");
        }
        let heard = late.transitions();
        assert_eq!((heard[0].down_since, &heard[0].outage_cause), (Some(START), &first.1));
        assert_eq!((&heard[0].cause, heard[0].origin), (&Cause::Elsewhere, Origin::Observed));
    }
    seconds(31).await;
    for _ in 0..3 {
        assert_eq!(a.ok().await, Call::Ok);
    }
    let item = world.item().unwrap();
    assert_eq!((&item["down_since"], &item["cause"]), (&json!(null), &json!(null)));
    assert_eq!(began(&a), (None, None));
}

#[tokio::test(start_paused = true)]
async fn case_185_the_item_counts_and_nonsense_on_it_is_no_error() {
    let world = World::new();
    let b = world.named("B");
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START, "expiration": START + 3_630});
    let known = Cause::FailureThreshold;
    for (since, cause, began) in [
        (json!(START - 90), json!("failure_threshold"), (START - 90, known.clone())),
        (json!(START - 90), json!("what else\n\u{1b}[2J"), (START - 90, Cause::Elsewhere)),
        (json!(START - 80), json!(7), (START - 80, Cause::Elsewhere)),
        // Clocks differ: no outage begins after its opening.
        (json!(START + 5), json!("failure_threshold"), (START, known)),
    ] {
        let mut item = open.clone();
        (item["down_since"], item["cause"]) = (since, cause);
        world.engine.put_item(CIRCUIT, &item);
        seconds(1).await;
        let snapshot = b.circuit().refresh().await.unwrap();
        let found = (snapshot.down_since(), snapshot.cause().cloned());
        assert_eq!(found, (Some(at(began.0)), Some(began.1)), "{item}");
    }
    for since in [json!(-1), json!("x"), json!({"M": {}}), json!(0)] {
        let late = world.named(&format!("late {since}"));
        let mut item = open.clone();
        item["down_since"] = since;
        world.engine.put_item(CIRCUIT, &item);
        assert!(late.ok().await.is_rejected());
        let snapshot = late.circuit().snapshot();
        let found = (snapshot.down_since(), snapshot.cause());
        assert_eq!(found, (Some(at(START)), Some(&Cause::Elsewhere)), "{item}");
    }
}

/// A trip that did not land in time, over an item that was held closed meanwhile, is refused.
#[test]
fn case_133_a_trip_that_saw_no_hold_is_refused_by_one_that_expires_alike() {
    use fuseboard::store::{Hints, HoldTerms, Record};
    let mut seen = Record::empty();
    seen.state = CircuitState::Closed.into();
    seen.expires_at = (START + 3_630).into();
    let trip = |seen| Operation::Trip {
        seen: Some(seen),
        failure_count: 5,
        opened_at: START,
        expires_at: START + 3_630,
        hints: Hints::NONE,
    };
    let terms = |until| HoldTerms { until, by: None, reason: "".into() };
    let hold = |until, seen| {
        let expires_at = START + 3_630;
        Operation::HoldClosed { seen: Some(seen), terms: terms(until), held_at: START, expires_at }
    };
    let held = hold(START + 30, seen.clone()).apply(Some(&seen)).unwrap();
    let longer = hold(START + 31, held.clone()).apply(Some(&held)).unwrap();
    assert_eq!(trip(seen).apply(Some(&held)), None);
    assert_eq!(trip(held.clone()).apply(Some(&longer)), None);
    assert!(trip(held.clone()).apply(Some(&held)).is_some());
}
