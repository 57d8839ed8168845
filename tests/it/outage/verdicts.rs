//! Elections and verdicts that cannot be written, for each kind of fault.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState, tower::BreakerLayer};
use tower::{Layer as _, ServiceExt as _};

use super::{AT_MOST, timed_fail, timed_ok};
use crate::support::{
    dynamodb::{Call, Process, START, World, seconds},
    engine::{Event, Network, now},
    world::timed,
};

/// A fault of writes, and whether it is one that waiting does not mend.
const FAULTS: [(Event, bool); 8] = [
    (Event::Error("ThrottlingException"), false),
    (Event::Error("InternalServerError"), false),
    (Event::Answer(503, "<html>Busy</html>"), false),
    (Event::ResetBefore, false),
    (Event::LoseRequest, false),
    (Event::Answer(200, "[]"), false),
    (Event::Error("AccessDeniedException"), true),
    (Event::Error("ExpiredTokenException"), true),
];

/// An answer, and no fault: the store is alive, and asks to be left alone.
const THROTTLED: Event = Event::Error("ThrottlingException");

/// What is told of a verdict, at once and when it is written: what is throttled holds,
/// and is told, once it is written.
fn told(fault: &Event, change: &str) -> (Vec<String>, Vec<String>) {
    if *fault == THROTTLED {
        (vec![], vec![format!("{change} local")])
    } else {
        (vec![format!("{change} alone")], vec![])
    }
}

/// A circuit that was tripped by A, 30 s ago.
async fn due() -> (World, Process) {
    let world = World::new();
    let a = world.named("A");
    a.trip().await;
    seconds(30).await;
    a.heard();
    world.engine.clear();
    (world, a)
}

#[tokio::test(start_paused = true)]
async fn case_36_an_election_that_fails_gives_the_fallback_and_a_back_off() {
    for (fault, misconfigured) in FAULTS {
        let (world, a) = due().await;
        world.engine.network("A").always_on("UpdateItem", fault.clone());
        let run = || async { panic!("the call is not elected") };
        let instead = |open| async { Ok::<fuseboard::OpenError, &str>(open) };
        let (answer, waited) = timed(a.circuit().call_or_else(run, instead)).await;
        assert_eq!(answer.unwrap().circuit().state, CircuitState::Open, "{fault:?}");
        assert!(waited <= AT_MOST, "{fault:?}: {waited:?}");
        assert_eq!(a.heard(), [""; 0], "{fault:?}");
        world.engine.clear();
        if misconfigured {
            // Nothing is to be expected of the store for long: it probes alone.
            for _ in 0..3 {
                assert_eq!(timed_ok(&a).await, (Call::Ok, Duration::ZERO), "{fault:?}");
            }
            assert_eq!(a.heard(), ["OPEN>HALF_OPEN alone", "HALF_OPEN>CLOSED alone"], "{fault:?}");
            // Each goes by a read that was made for it: others may be probing (case 195).
            assert_eq!(world.engine.count("GetItem"), 3, "{fault:?}");
            assert_eq!(world.engine.requests().len(), 3, "{fault:?}: and nothing is written");
            continue;
        }
        // A back-off is from 0.75 to 1 s, and from 0.5 to 1.5 s where it is asked for.
        let (quiet, rest) = if fault == THROTTLED { (45, 1_100) } else { (70, 300) };
        for _ in 0..quiet {
            let (call, waited) = timed_ok(&a).await;
            assert!(call.is_rejected() && waited.is_zero(), "{fault:?}: {call:?} {waited:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(world.engine.requests().len(), 0, "{fault:?}: nothing in the back-off");
        world.engine.network("A").heal();
        tokio::time::sleep(Duration::from_millis(rest)).await;
        assert_eq!(a.ok().await, Call::Ok, "{fault:?}: the next attempt");
        assert_eq!(a.heard(), ["OPEN>HALF_OPEN local"], "{fault:?}");
    }
}

/// Almost a second for each of so many writes, all attempts included.
fn slow_writes(network: &Network, writes: u32) {
    for _ in 0..writes {
        network.on("UpdateItem", 2, Event::LoseRequest);
        network.on("UpdateItem", 1, Event::DelayBefore(Duration::from_millis(80)));
    }
}

#[tokio::test(start_paused = true)]
async fn case_66_a_probe_waits_for_its_election_and_its_verdict_as_long_as_for_one() {
    let (world, a) = due().await;
    let network = world.engine.network("A");
    slow_writes(&network, 2);
    let (call, waited) = timed_ok(&a).await;
    assert_eq!(call, Call::Ok);
    assert!(waited <= AT_MOST, "{waited:?}");
    assert_eq!(world.attribute("success_count"), 0, "both writes were slow");
    // A function that is frozen after its response has to wait for the rest.
    assert_eq!(a.registry.flush(AT_MOST).await, Ok(()));
    assert_eq!(world.attribute("success_count"), 1);
    // Whoever is rejected meanwhile does not wait at all.
    let slow_election = Event::DelayBefore(Duration::from_millis(390));
    network.on("UpdateItem", 1, slow_election);
    let (first, others) = futures::join!(timed_ok(&a), async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        futures::future::join_all((0..20).map(|_| timed_ok(&a))).await
    });
    assert_eq!(first.0, Call::Ok);
    for (call, waited) in others {
        assert!(call.is_rejected() && waited.is_zero(), "{call:?} {waited:?}");
    }
}

/// The ways of a call that are not [`Breaker::call`].
#[derive(Clone, Copy, Debug)]
enum Way {
    Permit,
    Owned,
    Layer,
}

impl Way {
    async fn call(self, circuit: &Breaker) {
        let called = async { Ok::<_, std::io::Error>(()) };
        match self {
            Self::Permit => circuit.admit().await.unwrap().run(called).await.unwrap(),
            Self::Owned => circuit.admit_owned().await.unwrap().run(called).await.unwrap(),
            Self::Layer => {
                let inner = tower::service_fn(|()| async { Ok::<_, std::io::Error>(()) });
                BreakerLayer::new(circuit.clone()).layer(inner).oneshot(()).await.unwrap();
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_66_permits_and_layers_wait_for_both_as_long_as_for_one() {
    for way in [Way::Permit, Way::Owned, Way::Layer] {
        let (world, a) = due().await;
        slow_writes(&world.engine.network("A"), 2);
        let ((), waited) = timed(way.call(a.circuit())).await;
        assert!(waited <= AT_MOST, "{way:?}: {waited:?}");
        assert_eq!(world.attribute("success_count"), 0, "{way:?}: both writes were slow");
        assert_eq!(a.registry.flush(AT_MOST).await, Ok(()));
        assert_eq!(world.attribute("success_count"), 1, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_59_a_closing_that_cannot_be_written_is_told_once_it_holds_here() {
    for (fault, misconfigured) in FAULTS {
        let (world, a) = due().await;
        assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
        a.heard();
        let probe = a.circuit().admit_owned().await.unwrap();
        world.engine.network("A").always_on("UpdateItem", fault.clone());
        let begun = now();
        probe.success().settled().await;
        let waited = begun.elapsed();
        assert!(waited <= AT_MOST, "{fault:?}: {waited:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (at_once, late) = told(&fault, "HALF_OPEN>CLOSED");
        assert_eq!(a.heard(), at_once, "{fault:?}");
        assert_eq!(world.attribute("state"), "HALF_OPEN", "{fault:?}");
        for _ in 0..20 {
            let (call, waited) = timed_ok(&a).await;
            assert_eq!(waited, Duration::ZERO, "{fault:?}");
            assert_eq!(call == Call::Ok, fault != THROTTLED, "{fault:?}: it holds here");
        }
        world.engine.network("A").heal();
        seconds(if misconfigured { 61 } else { 2 }).await;
        assert_eq!(world.attribute("state"), "CLOSED", "{fault:?}: and is made good");
        assert_eq!(a.ok().await, Call::Ok, "{fault:?}");
        assert_eq!(a.heard(), late, "{fault:?}: once is enough");
    }
}

#[tokio::test(start_paused = true)]
async fn case_59_a_closing_is_not_told_while_its_write_is_under_way() {
    let (world, a) = due().await;
    assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
    a.heard();
    let probe = a.circuit().admit_owned().await.unwrap();
    let slow = Event::DelayBefore(Duration::from_millis(300));
    world.engine.network("A").on("UpdateItem", 1, slow);
    let watch = async {
        tokio::time::sleep(Duration::from_millis(299)).await;
        assert_eq!(a.heard(), [""; 0], "it does not hold yet");
        assert_eq!(world.attribute("state"), "HALF_OPEN");
    };
    futures::join!(probe.success().settled(), watch);
    assert_eq!(a.heard(), ["HALF_OPEN>CLOSED local"]);
}

#[tokio::test(start_paused = true)]
async fn case_59_a_closing_that_another_has_overtaken_is_given_up() {
    for (fault, misconfigured) in FAULTS {
        let (world, a) = due().await;
        let b = world.named("B");
        assert_eq!((a.ok().await, a.ok().await), (Call::Ok, Call::Ok));
        let probe = a.circuit().admit_owned().await.unwrap();
        world.engine.network("A").always(fault.clone());
        probe.success().settled().await;
        assert!(b.ok().await.is_rejected(), "{fault:?}: A's lease stands");
        seconds(35).await;
        assert_eq!(b.fail().await, Call::Failed, "{fault:?}: B takes it over");
        let before = world.item();
        world.engine.network("A").heal();
        world.engine.clear();
        let healed = now();
        while a.state() == CircuitState::Closed {
            a.ok().await;
            seconds(1).await;
            let limit = if misconfigured { 61 } else { 31 };
            assert!(healed.elapsed() < Duration::from_secs(limit), "{fault:?}: the item wins");
        }
        assert_eq!(world.item(), before, "{fault:?}");
        let writes = world.engine.count_of("A", "UpdateItem");
        assert_eq!(writes, 0, "{fault:?}: what it was shown is no closing of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn case_60_a_reopening_that_cannot_be_written_rejects_for_the_whole_timeout() {
    for (fault, misconfigured) in FAULTS {
        let (world, a) = due().await;
        let probe = a.circuit().admit_owned().await.unwrap();
        a.heard();
        world.engine.network("A").always(fault.clone());
        let begun = now();
        probe.failure().settled().await;
        let waited = begun.elapsed();
        assert!(waited <= AT_MOST, "{fault:?}: {waited:?}");
        let mut delayed = 0;
        while begun.elapsed() < Duration::from_secs(30) {
            let (call, waited) = timed_fail(&a).await;
            assert!(call.is_rejected() && waited <= AT_MOST, "{fault:?}: {call:?} {waited:?}");
            delayed += usize::from(!waited.is_zero());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Who begins a read waits for it, once after each back-off, whose length is drawn.
        assert!(delayed <= 6, "{fault:?}: {delayed} callers waited");
        assert_eq!(a.heard(), told(&fault, "HALF_OPEN>OPEN").0, "{fault:?}");
        let mut reached = 0;
        for _ in 0..29 {
            reached += u32::from(a.fail().await == Call::Failed);
            seconds(1).await;
        }
        // While the store is throttled the reopening is still owed, and others may hold
        // the right to probe by now: nobody probes alone (case 193).
        let alone = u32::from(!told(&fault, "HALF_OPEN>OPEN").0.is_empty());
        assert_eq!(reached, alone, "{fault:?}: probes without the store");
        // The item shows the lease of a token that has ended: it wins, and the
        // lease has run out, so that anyone may probe.
        world.engine.network("A").heal();
        seconds(if misconfigured { 61 } else { 31 }).await;
        for _ in 0..3 {
            assert_eq!(a.ok().await, Call::Ok, "{fault:?}");
        }
        assert_eq!(world.attribute("state"), "CLOSED", "{fault:?}");
        let told = a.heard();
        assert_eq!(told.last().unwrap(), "HALF_OPEN>CLOSED local", "{fault:?}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_60_a_reopening_is_made_good_with_the_time_of_the_failure() {
    for (fault, misconfigured) in FAULTS {
        let (world, a) = due().await;
        let probe = a.circuit().admit_owned().await.unwrap();
        world.engine.network("A").always(fault.clone());
        probe.failure().settled().await;
        seconds(10).await;
        world.engine.network("A").heal();
        seconds(if misconfigured { 52 } else { 15 }).await;
        assert_eq!(world.attribute("state"), "OPEN", "{fault:?}");
        assert_eq!(world.attribute("opened_at"), START + 30, "{fault:?}");
        assert_eq!(world.attribute("half_open_owner"), serde_json::Value::Null, "{fault:?}");
    }
}
