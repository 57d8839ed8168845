//! Circuits whose metrics go to a recorder of this thread.

mod observing;
mod settings;
mod world;

use std::sync::Arc;

use ::metrics::set_default_local_recorder;
use futures::FutureExt as _;

use self::world::{Recorded, World, is_rejected, pass, recover, settle, succeed, trip};
use crate::{
    CircuitState,
    protocol::health::Access,
    protocol::machine::NoEntropy,
    runtime::reachability::Reachability,
    store::StoreErrorKind::{self, BadAnswer, Misconfigured, Throttled, Timeout, Unavailable},
};

/// Returns the records of these transitions of the circuit.
fn transitions<const COUNT: usize>(labels: [&str; COUNT]) -> [String; COUNT] {
    labels.map(|labels| format!("fuseboard_transitions_total circuit=payments {labels} +1"))
}

fn fault(operation: &str, kind: &str) -> String {
    format!("fuseboard_store_faults_total operation={operation} kind={kind} +1")
}

fn misconfigured(value: u8) -> String {
    format!("fuseboard_store_misconfigured is {value}")
}

#[tokio::test(start_paused = true)]
async fn a_transition_counts_as_local_once_and_as_observed_by_the_others() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    let (mine, theirs) = (one.breaker(), other.breaker());
    assert_eq!(succeed(&theirs).await, Ok(()));
    recorded.take();
    trip(&mine).await;
    let tripped = "from=CLOSED to=OPEN cause=failure_threshold origin=local";
    assert_eq!(recorded.take(), transitions([tripped]));
    pass(6).await;
    assert!(is_rejected(&theirs).await);
    let seen = "from=CLOSED to=OPEN cause=elsewhere origin=observed";
    assert_eq!(recorded.take(), transitions([seen]));
    pass(31).await;
    recover(&mine).await;
    let elected = "from=OPEN to=HALF_OPEN cause=recovery_timeout origin=local";
    let closed = "from=HALF_OPEN to=CLOSED cause=probes_succeeded origin=local";
    assert_eq!(recorded.take(), transitions([elected, closed]));
}

#[tokio::test(start_paused = true)]
async fn a_transition_while_the_store_fails_counts_as_made_without_it() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    process.store.writes_meet(Unavailable);
    recorded.take();
    trip(&process.breaker()).await;
    settle().await;
    let tripped = "from=CLOSED to=OPEN cause=failure_threshold origin=without_store";
    let [tripped] = transitions([tripped]);
    let mut heard = recorded.take();
    heard.sort_unstable();
    assert_eq!(heard, [fault("trip", "unavailable"), tripped]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_while_the_process_stood_still_does_not_count() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    recorded.take();
    process.store.reads_meet(Timeout);
    let frozen = async {
        settle().await;
        world.clock.advance(std::time::Duration::from_secs(600));
        process.store.reads_meet(None);
    };
    let (called, ()) = tokio::join!(succeed(&breaker), frozen);
    assert_eq!(called, Ok(()));
    assert_eq!(recorded.take(), [""; 0]);
}

/// Returns the records of a fault at the first read, and of one at the write of a trip.
async fn records_of(kind: StoreErrorKind) -> [Vec<String>; 2] {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    recorded.take();
    process.store.reads_meet(kind);
    assert_eq!(succeed(&breaker).await, Ok(()));
    let reads = recorded.take();
    process.store.reads_meet(None);
    pass(61).await;
    assert_eq!(succeed(&breaker).await, Ok(()));
    process.store.writes_meet(kind);
    recorded.take();
    trip(&breaker).await;
    settle().await;
    let mut writes = recorded.take();
    writes.retain(|event| !event.starts_with("fuseboard_transitions_total"));
    [reads, writes]
}

#[tokio::test(start_paused = true)]
async fn a_fault_counts_with_its_operation_and_its_kind() {
    for (kind, word) in [
        (Timeout, "timeout"),
        (Unavailable, "unavailable"),
        (Throttled, "throttled"),
        (BadAnswer, "bad_answer"),
    ] {
        let faults = [vec![fault("read", word)], vec![fault("trip", word)]];
        assert_eq!(records_of(kind).await, faults, "{kind:?}");
    }
    let word = "misconfigured";
    let faults = ["read", "trip"].map(|name| vec![fault(name, word), misconfigured(1)]);
    assert_eq!(records_of(Misconfigured).await, faults);
}

#[tokio::test(start_paused = true)]
async fn a_misconfigured_store_shows_as_1_until_it_is_mended() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    recorded.take();
    process.store.reads_meet(Misconfigured);
    for _ in 0..2 {
        assert_eq!(succeed(&breaker).await, Ok(()));
        // Set each time, so that a recorder does not drop it as idle.
        assert_eq!(recorded.take(), [fault("read", "misconfigured"), misconfigured(1)]);
        pass(61).await;
    }
    process.store.reads_meet(None);
    assert_eq!(succeed(&breaker).await, Ok(()));
    assert_eq!(recorded.take(), [misconfigured(0)]);
}

#[tokio::test(start_paused = true)]
async fn reads_that_work_do_not_hide_that_writes_are_refused() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    process.store.writes_meet(Misconfigured);
    trip(&breaker).await;
    recorded.take();
    let other = process.registry.breaker("invoices").unwrap();
    assert_eq!(succeed(&other).await, Ok(()));
    assert!(recorded.take().is_empty());
    process.store.writes_meet(None);
    trip(&other).await;
    assert!(recorded.take().contains(&misconfigured(0)));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_ends_leaves_no_alarm_behind() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    process.store.reads_meet(Misconfigured);
    assert_eq!(succeed(&process.breaker()).await, Ok(()));
    recorded.take();
    drop(process);
    pass(1).await;
    assert_eq!(recorded.take(), [misconfigured(0)]);
    drop(World::new().process());
    pass(1).await;
    assert!(!recorded.take().contains(&misconfigured(0)), "there was none");
}

#[test]
fn what_changes_while_it_is_shown_is_shown_last() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let reach = Arc::new(Reachability::new(Box::new(NoEntropy)));
    let other = Arc::clone(&reach);
    recorded.before_next("fuseboard_store_misconfigured", move || other.works(Access::Write));
    assert!(reach.should_log(Access::Write));
    assert_eq!(recorded.take().last(), Some(&misconfigured(0)));
}

#[tokio::test(start_paused = true)]
async fn case_191_healthy_calls_and_rejections_touch_no_metric() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(()));
    recorded.take_all();
    for _ in 0..1_000 {
        assert_eq!(succeed(&breaker).await, Ok(()));
        breaker.try_admit().unwrap().success();
    }
    assert_eq!(recorded.take_all(), [""; 0]);
    for _ in 0..100 {
        assert_eq!(succeed(&breaker).await, Ok(()));
        pass(1).await;
    }
    let between = recorded.take_all();
    let is_read = |event: &String| event.starts_with("fuseboard_store_seconds operation=read");
    assert!(!between.is_empty() && between.iter().all(is_read), "the reads alone: {between:?}");
    trip(&breaker).await;
    recorded.take_all();
    for _ in 0..29 {
        assert!(is_rejected(&breaker).await);
        assert!(breaker.try_admit().is_err());
    }
    assert_eq!(recorded.take_all(), [""; 0], "they are counted in the circuit");
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_ends_no_actor() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    recorded.panics();
    let process = World::new().process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    process.store.reads_meet(Misconfigured);
    assert_eq!(succeed(&breaker).await, Ok(()));
    process.store.reads_meet(None);
    trip(&breaker).await;
    pass(31).await;
    recover(&breaker).await;
    let mut states = Vec::new();
    while let Some(Some(Ok(transition))) = transitions.recv().now_or_never() {
        states.push(transition.to_state);
    }
    assert_eq!(states, [CircuitState::Open, CircuitState::HalfOpen, CircuitState::Closed]);
}

#[tokio::test]
async fn a_registry_describes_every_metric_and_the_page_names_it() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    drop(World::new().process());
    let page = include_str!("../../../docs/metrics.md");
    let described = recorded.take_all();
    let heads: Vec<_> = described.iter().filter_map(|line| line.split_once(": ")).collect();
    let heads: Vec<_> = heads.into_iter().map(|(head, _)| head).collect();
    assert_eq!(
        heads,
        [
            "counter fuseboard_transitions_total Some(Count)",
            "counter fuseboard_store_faults_total Some(Count)",
            "gauge fuseboard_store_misconfigured None",
            "counter fuseboard_probes_total Some(Count)",
            "counter fuseboard_rejections_total Some(Count)",
            "counter fuseboard_failures_total Some(Count)",
            "counter fuseboard_lagged_total Some(Count)",
            "counter fuseboard_reconfigurations_total Some(Count)",
            "histogram fuseboard_store_seconds Some(Seconds)",
            "gauge fuseboard_settings_checksum None",
            "gauge fuseboard_settings_refused None",
            "gauge fuseboard_circuit_state None",
            "gauge fuseboard_circuit_down_since_seconds Some(Seconds)",
            "gauge fuseboard_circuit_retry_at_seconds Some(Seconds)",
            "gauge fuseboard_circuit_held None",
            "gauge fuseboard_snapshot_age_seconds Some(Seconds)",
            "gauge fuseboard_failing_open None",
            "gauge fuseboard_circuit_down None",
        ]
    );
    let without_a_value = ["fuseboard_lagged_total", "fuseboard_store_misconfigured"];
    assert_eq!(recorded.registered(), without_a_value);
    for head in heads {
        let name = head.split(' ').nth(1).unwrap();
        assert!(page.contains(&format!("- `{name}` (")), "{name}");
    }
}

/// Every cause, and how `serde` writes it where that is more than a word.
fn causes() -> Vec<(crate::Cause, bool)> {
    use crate::{Cause, Rule};

    let take_over = Cause::TakeOver { previous_owner: None, owner: Arc::from("token") };
    let words = [
        Cause::FailureThreshold,
        Cause::OpenFor,
        Cause::RecoveryTimeout,
        Cause::ProbesSucceeded,
        Cause::ProbeFailed,
        Cause::Hold,
        Cause::Release,
        Cause::HoldEnded,
        Cause::WouldOpen,
        Cause::RecordGone,
        Cause::StoreUnreadable,
        Cause::Refuted,
        Cause::Elsewhere,
        Cause::Forgotten,
    ];
    let more = [Cause::Rule(Rule::of_last(5, 20)), take_over];
    words.map(|cause| (cause, false)).into_iter().chain(more.map(|cause| (cause, true))).collect()
}

#[test]
fn the_page_lists_the_label_of_every_cause() {
    use super::recorded::cause;

    let page = include_str!("../../../docs/metrics.md");
    let row = page.lines().find_map(|line| line.strip_prefix("| `cause` |")).unwrap();
    let words = row.split('`').skip(1).step_by(2).filter(|word| !word.contains("Cause"));
    let mut listed: Vec<_> = words.collect();
    let causes = causes();
    let mut labels: Vec<_> = causes.iter().map(|(each, _)| cause(each)).collect();
    listed.sort_unstable();
    labels.sort_unstable();
    assert_eq!(labels, listed);
}

#[cfg(feature = "serde")]
#[test]
fn a_label_is_the_word_that_serde_has() {
    use super::recorded::{cause, origin};
    use crate::Origin;

    for (each, has_fields) in causes() {
        let written = serde_json::to_value(&each).unwrap();
        if has_fields {
            assert!(written.get(cause(&each)).is_some(), "{written}");
        } else {
            assert_eq!(written, cause(&each));
        }
    }
    for who in [Origin::Local, Origin::WithoutStore, Origin::Observed] {
        assert_eq!(serde_json::to_value(who).unwrap(), origin(who));
    }
}

#[tokio::test(start_paused = true)]
async fn case_136_what_is_tried_counts_under_a_name_of_its_own() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    let process = World::new().process();
    let config = crate::Config::builder().dry_run(true).build().unwrap();
    let breaker = process.registry.breaker_with("payments", config).unwrap();
    for _ in 0..7 {
        breaker.admit().await.unwrap().failure().settled().await;
    }
    process.registry.observe();
    let counted = recorded.take_all();
    assert!(
        counted.iter().any(|line| line.starts_with("fuseboard_rejections_total")),
        "{counted:?}"
    );
    let of_circuit = counted.iter().filter(|line| line.contains("circuit="));
    assert!(of_circuit.clone().count() > 5, "{counted:?}");
    assert!(
        of_circuit.clone().all(|line| line.contains("circuit=payments#dry-run")),
        "{counted:?}"
    );
}

#[test]
fn case_168_no_name_forges_a_label() {
    let recorded = Recorded::default();
    let _guard = set_default_local_recorder(&recorded);
    crate::runtime::metrics::transition(&crate::CircuitTransition {
        circuit_name: crate::CircuitName::new("evil\n\u{1b}[2J").unwrap(),
        from_state: CircuitState::Closed,
        to_state: CircuitState::Open,
        opened_at: None,
        cause: crate::Cause::Hold,
        origin: crate::Origin::Local,
        at: std::time::SystemTime::UNIX_EPOCH,
        down_since: None,
        outage_cause: None,
        hold: None,
        ended_hold: None,
        dry_run: false,
    });
    let labels = r"circuit=evil\n\u{1b}[2J from=CLOSED to=OPEN cause=hold origin=local +1";
    assert_eq!(recorded.take(), [format!("fuseboard_transitions_total {labels}")]);
}
