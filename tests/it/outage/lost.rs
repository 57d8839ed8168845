//! Answers that are lost on their way back: the write is made, and nobody here
//! knows. One row for each write of an incident.

use fuseboard::CircuitState;
use serde_json::json;

use super::{AT_MOST, timed_fail, timed_ok};
use crate::support::{
    dynamodb::{Call, Process, World, seconds},
    engine::{Event, Fate},
};

/// Ways to lose an answer: at once, after it began, and for good.
const LOSSES: [Event; 3] = [Event::ResetAfter, Event::BreakOff, Event::LoseAnswer];

/// The writes of an incident, in order.
const WRITES: [&str; 7] =
    ["trip", "elect", "hand over", "renew", "second hand over", "second renew", "close"];

/// A process whose n-th write meets an event, for so many attempts.
async fn losing(write: usize, attempts: usize, loss: &Event) -> (World, Process) {
    let world = World::new();
    let a = world.named("A");
    a.ok().await;
    let network = world.engine.network("A");
    network.on("UpdateItem", write, Event::Pass).on("UpdateItem", attempts, loss.clone());
    (world, a)
}

/// A trip, and one call a second until the circuit is closed here.
async fn incident(a: &Process, context: &str) {
    for _ in 0..5 {
        let (call, waited) = timed_fail(a).await;
        assert_eq!(call, Call::Failed, "{context}");
        assert!(waited <= AT_MOST, "{context}: {waited:?}");
    }
    for _ in 0..40 {
        let (call, waited) = timed_ok(a).await;
        // The renewal before a probe, and the verdict after it.
        assert!(waited <= AT_MOST * 2, "{context}: {waited:?}");
        assert_ne!(call, Call::Failed, "{context}");
        if a.state() == CircuitState::Closed {
            return;
        }
        seconds(1).await;
    }
    panic!("{context}: not closed after 40 s");
}

/// How many writes were applied, those included whose answer was lost.
fn applied(world: &World) -> usize {
    let is_applied = |fate: &Fate| *fate == Fate::Applied;
    let requests = world.engine.requests();
    requests.iter().filter(|one| one.operation == "UpdateItem" && is_applied(&one.fate)).count()
}

#[tokio::test(start_paused = true)]
async fn case_79_a_lost_answer_is_made_up_for_by_the_attempt_after_it() {
    for loss in LOSSES {
        for (write, name) in WRITES.iter().enumerate() {
            let context = format!("{name}, {loss:?}");
            let (world, a) = losing(write, 1, &loss).await;
            incident(&a, &context).await;
            assert_eq!(world.attribute("state"), "CLOSED", "{context}");
            assert_eq!(applied(&world), WRITES.len(), "{context}: nothing is done twice");
            // The second attempt is refused, and shows what the first one wrote.
            // An election, a hand over, a renewal and a closing name something
            // that is only ours. An opening does not: two processes that trip
            // in one second write the same item. So it is not claimed: that a
            // fleet counts one opening too few is better than one too many.
            let opening = if *name == "trip" { "observed" } else { "local" };
            assert_eq!(
                a.heard(),
                [
                    format!("CLOSED>OPEN {opening}"),
                    "OPEN>HALF_OPEN local".to_owned(),
                    "HALF_OPEN>CLOSED local".to_owned()
                ],
                "{context}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_79_when_every_answer_is_lost_the_item_is_read_before_the_next_write() {
    for loss in LOSSES {
        for (write, name) in WRITES.iter().enumerate() {
            let context = format!("{name}, {loss:?}");
            let (world, a) = losing(write, 3, &loss).await;
            incident(&a, &context).await;
            seconds(3).await;
            assert_eq!(a.ok().await, Call::Ok, "{context}");
            assert_eq!(world.attribute("state"), "CLOSED", "{context}");
            // What was decided holds here without an answer, and is told as
            // such. An election holds nothing until its answer is known; a
            // consistent read shows its token.
            let told = |which: &str| if *name == which { "alone" } else { "local" };
            let (opening, closing) = (told("trip"), told("close"));
            assert_eq!(
                a.heard(),
                [
                    format!("CLOSED>OPEN {opening}"),
                    "OPEN>HALF_OPEN local".to_owned(),
                    format!("HALF_OPEN>CLOSED {closing}")
                ],
                "{context}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reopening_whose_answer_is_lost_opens_the_circuit_for_all() {
    for loss in LOSSES {
        for (attempts, origin) in [(1, "observed"), (3, "alone")] {
            let context = format!("{attempts} attempts, {loss:?}");
            let (world, a) = losing(2, attempts, &loss).await;
            a.trip().await;
            seconds(30).await;
            let (call, waited) = timed_fail(&a).await;
            assert_eq!(call, Call::Failed, "{context}");
            assert!(waited <= AT_MOST, "{context}: {waited:?}");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            // As with a trip, the item shows nothing that is only ours.
            let reopened = format!("HALF_OPEN>OPEN {origin}");
            let told = ["CLOSED>OPEN local", "OPEN>HALF_OPEN local", reopened.as_str()];
            assert_eq!(a.heard(), told, "{context}");
            let opened_at = world.attribute("opened_at");
            assert_eq!(world.attribute("state"), "OPEN", "{context}");
            for _ in 0..29 {
                assert!(a.ok().await.is_rejected(), "{context}");
                seconds(1).await;
            }
            assert_eq!(world.attribute("opened_at"), opened_at, "{context}: not written again");
            assert_eq!(json!(a.circuit().snapshot().circuit().opened_at), opened_at, "{context}");
            assert_eq!(a.heard(), [""; 0], "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_trip_that_comes_back_after_minutes_changes_no_newer_item() {
    for later in ["CLOSED", "OPEN", "HALF_OPEN"] {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        a.ok().await;
        world.engine.network("A").on("UpdateItem", 3, Event::HoldBack);
        a.trip().await;
        assert_eq!(world.item(), None, "{later}");
        seconds(2).await;
        assert_eq!(world.attribute("state"), "OPEN", "{later}: tried again");
        seconds(30).await;
        // B goes on from there, while A's first attempts are under way still.
        match later {
            "OPEN" => assert_eq!(b.fail().await, Call::Failed),
            "HALF_OPEN" => assert_eq!(b.ok().await, Call::Ok),
            _ => {
                for _ in 0..3 {
                    assert_eq!(b.ok().await, Call::Ok);
                }
            }
        }
        assert_eq!(world.attribute("state"), later);
        let before = world.item();
        assert_eq!(world.engine.release_held(), 3, "{later}: three minutes later, perhaps");
        assert_eq!(world.item(), before, "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_comes_back_after_minutes_changes_no_newer_item() {
    for verdict in [true, false] {
        let world = World::new();
        let (a, b) = (world.named("A"), world.named("B"));
        a.trip().await;
        seconds(30).await;
        // The last good probe before the circuit closes, or the first bad one.
        if verdict {
            assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
        }
        let probe = a.circuit().admit_owned().await.unwrap();
        world.engine.network("A").always_on("UpdateItem", Event::HoldBack);
        if verdict { probe.success() } else { probe.failure() }.settled().await;
        // B sees the lease run out, fails, and opens the circuit again.
        assert!(b.ok().await.is_rejected(), "{verdict}");
        seconds(33).await;
        assert_eq!(b.fail().await, Call::Failed, "{verdict}");
        let before = world.item();
        assert_eq!(world.attribute("state"), "OPEN", "{verdict}");
        assert!(world.engine.release_held() >= 3, "{verdict}");
        assert_eq!(world.item(), before, "{verdict}: fenced off by its token");
    }
}
