//! What `observe` sets, and what is counted between two of its calls.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use ::metrics::set_default_local_recorder;

use super::world::{Process, Recorded, World, is_rejected, pass, recover, settle, succeed, trip};
use crate::{BreakerRegistry, Config, Hold, MemoryStore, store::StoreErrorKind::Unavailable};

const GAUGES: &[&str] = &["fuseboard_circuit_", "fuseboard_snapshot_age", "fuseboard_failing_open"];
const COUNTS: &[&str] = &["fuseboard_rejections", "fuseboard_failures", "fuseboard_probes"];

/// The gauges that `observe` sets, without the name of the circuit.
fn observed(recorded: &Recorded, process: &Process) -> Vec<String> {
    recorded.take_all();
    process.registry.observe();
    let events = recorded.take_of(GAUGES);
    let short = |event: String| event.replace("fuseboard_", "").replace(" circuit=payments", "");
    events.into_iter().map(short).collect()
}

fn gauges(state: [u8; 3], down: [&str; 2], held: u8, age: &str, failing_open: u8) -> Vec<String> {
    let [closed, open, half_open] = state;
    let [since, retry] = down;
    vec![
        format!("circuit_state state=CLOSED is {closed}"),
        format!("circuit_state state=OPEN is {open}"),
        format!("circuit_state state=HALF_OPEN is {half_open}"),
        format!("circuit_down_since_seconds is {since}"),
        format!("circuit_retry_at_seconds is {retry}"),
        format!("circuit_held is {held}"),
        format!("snapshot_age_seconds is {age}"),
        format!("failing_open is {failing_open}"),
        // No call of these tests says for how long to open.
        format!("circuit_down why=failing is {}", u8::from((closed, held) == (0, 0))),
        "circuit_down why=throttled is 0".to_owned(),
    ]
}

fn closed(age: &str) -> Vec<String> {
    gauges([1, 0, 0], ["0", "0"], 0, age, 0)
}

#[tokio::test(start_paused = true)]
async fn case_184_observe_makes_the_gauges_of_an_idle_process_true() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let world = World::new();
    let (idle, busy) = (world.process(), world.process());
    let breaker = idle.breaker();
    assert_eq!(observed(&recorded, &idle), closed("NaN"), "never read");
    assert_eq!(succeed(&breaker).await, Ok(()));
    pass(10).await;
    trip(&busy.breaker()).await;
    pass(20).await;
    assert_eq!(observed(&recorded, &idle), closed("30"), "what it knows, and how old that is");
    breaker.refresh().await.unwrap();
    let open = |age| gauges([0, 1, 0], ["1000010", "1000041"], 0, age, 0);
    let shown = observed(&recorded, &idle);
    // When it elects itself is drawn.
    assert_eq!(shown[..4], open("0")[..4]);
    assert_eq!(shown[5..], open("0")[5..]);
    assert!(shown[4].starts_with("circuit_retry_at_seconds is 100004"), "{shown:?}");
    pass(7).await;
    assert_eq!(observed(&recorded, &idle)[6], "snapshot_age_seconds is 7");
}

#[tokio::test(start_paused = true)]
async fn case_191_a_hold_a_probe_and_an_unreadable_item_show() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_600);
    breaker.hold(Hold::open(until).reason("maintenance")).await.unwrap();
    let held = gauges([0, 1, 0], ["1000000", "1000600"], 1, "0", 0);
    assert_eq!(observed(&recorded, &process), held);
    breaker.release().await.unwrap();
    assert_eq!(observed(&recorded, &process), closed("0"));
    trip(&breaker).await;
    pass(32).await;
    let probe = breaker.admit().await.unwrap();
    let probing = gauges([0, 0, 1], ["1000000", "1000033"], 0, "0", 0);
    assert_eq!(observed(&recorded, &process), probing);
    probe.success().settled().await;
    pass(2).await;
    recover_rest(&breaker).await;
    process.store.reads_meet(Unavailable);
    pass(10).await;
    assert_eq!(succeed(&breaker).await, Ok(()));
    let unread = gauges([1, 0, 0], ["0", "0"], 0, "10", 1);
    assert_eq!(observed(&recorded, &process), unread);
}

#[tokio::test(start_paused = true)]
async fn why_a_circuit_is_down_shows_in_every_process_but_for_a_hold() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let world = World::new();
    let (told, other) = (world.process(), world.process());
    let breaker = told.breaker();
    breaker.admit().await.unwrap().open_for(Duration::from_secs(60)).settled().await;
    other.breaker().refresh().await.unwrap();
    let down = |process| observed(&recorded, process).split_off(8);
    let throttled = ["circuit_down why=failing is 0", "circuit_down why=throttled is 1"];
    assert_eq!(down(&told), throttled);
    assert_eq!(down(&other), throttled);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_600);
    breaker.hold(Hold::open(until).reason("maintenance")).await.unwrap();
    let neither = ["circuit_down why=failing is 0", "circuit_down why=throttled is 0"];
    assert_eq!(down(&told), neither);
    breaker.release().await.unwrap();
    assert_eq!(down(&told), neither);
    trip(&breaker).await;
    let failing = ["circuit_down why=failing is 1", "circuit_down why=throttled is 0"];
    assert_eq!(down(&told), failing);
}

#[tokio::test(start_paused = true)]
async fn no_gauge_calls_a_circuit_down_that_is_only_tried() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let config = Config::builder().dry_run(true).build().unwrap();
    let breaker = process.registry.breaker_with("payments", config).unwrap();
    for _ in 0..5 {
        breaker.admit().await.unwrap().failure().settled().await;
    }
    let shown = observed(&recorded, &process);
    // `observed` has taken the name away, and left what follows it.
    assert!(shown.contains(&"circuit_state#dry-run state=OPEN is 1".to_owned()), "{shown:?}");
    drop(breaker);
    pass(7_200).await;
    assert!(process.registry.is_empty(), "forgotten");
    let forgotten = recorded.take_of(GAUGES);
    assert!(!forgotten.is_empty());
    for alarming in ["circuit_down ", "failing_open"] {
        let set = shown.iter().chain(&forgotten).find(|event| event.contains(alarming));
        assert_eq!(set, None);
    }
}

async fn recover_rest(breaker: &crate::Breaker) {
    for _ in 0..2 {
        assert_eq!(succeed(breaker).await, Ok(()));
    }
    assert_eq!(breaker.state(), crate::CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_191_rejections_failures_and_probes_count_once_with_their_reasons() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    let counted = || {
        process.registry.observe();
        let events = recorded.take_of(COUNTS);
        let short =
            |event: String| event.replace("fuseboard_", "").replace(" circuit=payments", "");
        events.into_iter().map(short).collect::<Vec<_>>()
    };
    trip(&breaker).await;
    assert_eq!(counted(), ["failures_total +5"]);
    for _ in 0..7 {
        assert!(is_rejected(&breaker).await);
        assert!(breaker.try_admit().is_err());
    }
    assert_eq!(counted(), ["rejections_total reason=tripped +14"]);
    assert_eq!(counted(), [""; 0], "once");
    assert!(is_rejected(&breaker).await);
    pass(32).await;
    let probe = breaker.admit().await.unwrap();
    // Drained when the next snapshot was shown, with the reason of the one before.
    assert_eq!(counted(), ["rejections_total reason=tripped +1"]);
    assert!(is_rejected(&breaker).await);
    assert!(breaker.try_admit().is_err());
    assert_eq!(counted(), ["rejections_total reason=probing +2"]);
    probe.failure().settled().await;
    assert_eq!(counted(), ["probes_total outcome=failure +1"]);
    pass(32).await;
    recover(&breaker).await;
    assert_eq!(counted(), ["probes_total outcome=success +1"; 3]);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_009_999);
    breaker.hold(Hold::open(until).reason("why")).await.unwrap();
    assert!(is_rejected(&breaker).await);
    assert_eq!(counted(), ["rejections_total reason=held +1"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_while_the_circuit_ramps_counts_with_that_reason() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let config = Config::builder().ramp(Duration::from_secs(20)).build().unwrap();
    let breaker = process.registry.breaker_with("payments", config).unwrap();
    trip(&breaker).await;
    pass(32).await;
    recover(&breaker).await;
    process.registry.observe();
    recorded.take_all();
    let mut rejected = 0;
    for _ in 0..100 {
        rejected += u32::from(is_rejected(&breaker).await);
    }
    assert!((1..100).contains(&rejected), "{rejected} of 100");
    process.registry.observe();
    let counted = recorded.take_of(&["fuseboard_rejections"]);
    let labels = "circuit=payments reason=ramping";
    assert_eq!(counted, [format!("fuseboard_rejections_total {labels} +{rejected}")]);
}

#[cfg(feature = "tower")]
#[tokio::test(start_paused = true)]
async fn case_191_a_rejection_by_the_layer_counts_once() {
    use tower::ServiceExt as _;
    use tower_layer::Layer as _;

    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    trip(&breaker).await;
    process.registry.observe();
    recorded.take_all();
    let inner = tower::service_fn(|()| std::future::ready(Ok::<_, std::io::Error>(())));
    let service = crate::tower::BreakerLayer::new(breaker).layer(inner);
    for _ in 0..7 {
        assert!(service.clone().oneshot(()).await.is_err());
    }
    process.registry.observe();
    let rejected = recorded.take_of(&["fuseboard_rejections"]);
    assert_eq!(rejected, ["fuseboard_rejections_total circuit=payments reason=tripped +7"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_circuit_is_shown_as_closed_and_its_counts_are_kept() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    trip(&breaker).await;
    assert_eq!(observed(&recorded, &process)[1], "circuit_state state=OPEN is 1");
    assert!(is_rejected(&breaker).await);
    drop(breaker);
    pass(7_200).await;
    assert!(process.registry.is_empty(), "forgotten");
    let events = recorded.take_of(&[GAUGES, COUNTS].concat());
    let last = |start: &str| events.iter().rfind(|event| event.starts_with(start)).cloned();
    let open = last("fuseboard_circuit_state circuit=payments state=OPEN");
    assert_eq!(open.unwrap(), "fuseboard_circuit_state circuit=payments state=OPEN is 0");
    let since = last("fuseboard_circuit_down_since_seconds").unwrap();
    assert_eq!(since, "fuseboard_circuit_down_since_seconds circuit=payments is 0");
    let rejected = last("fuseboard_rejections").unwrap();
    assert_eq!(rejected, "fuseboard_rejections_total circuit=payments reason=tripped +1");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_until_a_registry_ends_is_not_lost() {
    for is_shut_down in [true, false] {
        let recorded = Recorded::default();
        let _guard = set_default_local_recorder(&recorded);
        let process = World::new().process();
        let breaker = process.breaker();
        trip(&breaker).await;
        assert_eq!(recorded.take_of(COUNTS), ["fuseboard_failures_total circuit=payments +5"]);
        for _ in 0..3 {
            assert!(is_rejected(&breaker).await);
        }
        if is_shut_down {
            process.registry.shutdown(Duration::from_secs(1)).await.unwrap();
        } else {
            drop(process);
        }
        let rejected = "fuseboard_rejections_total circuit=payments reason=tripped +3";
        assert_eq!(recorded.take_of(COUNTS), [rejected], "shut down: {is_shut_down}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_blocks_does_not_delay_a_trip() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    let (decided, decision) = std::sync::mpsc::channel();
    let other = breaker.clone();
    // Blocks the actor until a call of another thread was admitted or rejected.
    recorded.before_next("fuseboard_failures_total", move || {
        let admitted = thread::scope(|scope| scope.spawn(|| other.try_admit().is_ok()).join());
        decided.send(admitted.unwrap()).unwrap();
    });
    trip(&breaker).await;
    assert_eq!(decision.try_recv(), Ok(false));
}

#[tokio::test(start_paused = true)]
async fn without_an_observer_a_forgotten_circuit_makes_no_series() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    assert_eq!(succeed(&process.breaker()).await, Ok(()));
    pass(7_200).await;
    assert!(process.registry.is_empty());
    assert_eq!(recorded.take_of(GAUGES), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn store_operations_are_timed_and_lost_transitions_counted() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    trip(&process.breaker()).await;
    let timed = recorded.take_of(&["fuseboard_store_seconds"]);
    assert!(timed.contains(&"fuseboard_store_seconds operation=read took 0".to_owned()));
    assert!(timed.contains(&"fuseboard_store_seconds operation=trip took 0".to_owned()));

    let builder = BreakerRegistry::builder(MemoryStore::new()).disabled(false);
    let registry = builder.transition_capacity(1).spawn().unwrap();
    let mut transitions = registry.subscribe();
    for name in ["a", "b", "c"] {
        trip(&registry.breaker(name).unwrap()).await;
    }
    settle().await;
    assert!(transitions.recv().await.unwrap().is_err());
    assert_eq!(recorded.take_of(&["fuseboard_lagged"]), ["fuseboard_lagged_total +2"]);
}
