//! The metrics that `docs/metrics.md` lists. Those of the store have no circuit as a label: when
//! it fails it fails for all circuits, and a fault with that label would make as many series as
//! there are circuits.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::{
    name::CircuitName,
    panics::caught,
    protocol::answer::StoreErrorKind,
    protocol::machine::CallEnd,
    transition::{Cause, CircuitTransition, Origin},
};

pub(super) const TRANSITIONS: &str = "fuseboard_transitions_total";
pub(super) const STORE_FAULTS: &str = "fuseboard_store_faults_total";
pub(super) const STORE_MISCONFIGURED: &str = "fuseboard_store_misconfigured";
pub(super) const STORE_SECONDS: &str = "fuseboard_store_seconds";
pub(super) const PROBES: &str = "fuseboard_probes_total";
pub(super) const REJECTIONS: &str = "fuseboard_rejections_total";
pub(super) const FAILURES: &str = "fuseboard_failures_total";
pub(super) const LAGGED: &str = "fuseboard_lagged_total";
pub(super) const RECONFIGURATIONS: &str = "fuseboard_reconfigurations_total";
pub(super) const SETTINGS_CHECKSUM: &str = "fuseboard_settings_checksum";
pub(super) const SETTINGS_REFUSED: &str = "fuseboard_settings_refused";
pub(super) const STATE: &str = "fuseboard_circuit_state";
pub(super) const DOWN: &str = "fuseboard_circuit_down";
pub(super) const DOWN_SINCE: &str = "fuseboard_circuit_down_since_seconds";
pub(super) const RETRY_AT: &str = "fuseboard_circuit_retry_at_seconds";
pub(super) const HELD: &str = "fuseboard_circuit_held";
pub(super) const SNAPSHOT_AGE: &str = "fuseboard_snapshot_age_seconds";
pub(super) const FAILING_OPEN: &str = "fuseboard_failing_open";

/// Describes every metric to the recorder that is installed.
pub(crate) fn describe() {
    caught(|| {
        describe_counter!(
            TRANSITIONS,
            Unit::Count,
            "State changes of circuits, and their holds; those of origin \"local\" are told by the process that wrote them."
        );
        describe_counter!(STORE_FAULTS, Unit::Count, "Store operations that failed.");
        describe_gauge!(
            STORE_MISCONFIGURED,
            "1 while the store refuses reads or writes as misconfigured, 0 otherwise."
        );
        describe_counter!(PROBES, Unit::Count, "Probes of this process that have ended.");
        describe_counter!(REJECTIONS, Unit::Count, "Calls that a circuit rejected.");
        describe_counter!(
            FAILURES,
            Unit::Count,
            "Failed calls of a closed circuit that counted towards a trip."
        );
        describe_counter!(LAGGED, Unit::Count, "Transitions that slow subscribers have lost.");
        describe_counter!(
            RECONFIGURATIONS,
            Unit::Count,
            "Settings that were given to circuits that run."
        );
        describe_histogram!(STORE_SECONDS, Unit::Seconds, "How long store operations took.");
        describe_gauges();
        // Registered from the start, without a value: another registry may have set it.
        let _ = gauge!(STORE_MISCONFIGURED);
        // Zero from the start: Prometheus sees no increase in the first value of a new series,
        // and a subscriber may lag only once.
        let _ = counter!(LAGGED);
    });
}

fn describe_gauges() {
    describe_gauge!(
        SETTINGS_CHECKSUM,
        "Checksum of the settings file that is in force, as `cksum` prints it."
    );
    describe_gauge!(
        SETTINGS_REFUSED,
        "1 while the settings file cannot be taken and earlier settings are in force, 0 otherwise."
    );
    describe_gauge!(STATE, "1 for the state that the circuit is in, 0 for the others.");
    describe_gauge!(
        DOWN_SINCE,
        Unit::Seconds,
        "Unix time at which the outage began; 0 while closed."
    );
    describe_gauge!(
        RETRY_AT,
        Unit::Seconds,
        "Unix time from which on a call may probe; 0 while closed."
    );
    describe_gauge!(HELD, "1 while an operator holds the circuit, open or closed.");
    describe_gauge!(
        SNAPSHOT_AGE,
        Unit::Seconds,
        "Time since the item was last read; NaN before the first time."
    );
    describe_gauge!(FAILING_OPEN, "1 while the circuit is closed and its item cannot be read.");
    describe_gauge!(
        DOWN,
        "1 for why the circuit is down; 0 for the others, while closed, and while it is held."
    );
}

/// Counts the end of a probe of this process.
pub(crate) fn probe(circuit: &CircuitName, end: CallEnd) {
    let outcome = match end {
        CallEnd::Success => "success",
        CallEnd::Failure | CallEnd::OpenFor(_) => "failure",
        CallEnd::Ignored => "ignored",
        CallEnd::Dropped => "dropped",
    };
    caught(|| {
        counter!(PROBES, "circuit" => circuit.to_string(), "outcome" => outcome).increment(1);
    });
}

/// Counts transitions that a subscriber has lost.
pub(crate) fn lagged(lost: u64) {
    caught(|| counter!(LAGGED).increment(lost));
}

/// Records how long an operation of the store took, whatever its end.
pub(crate) fn store_seconds(operation: &'static str, took: Duration) {
    caught(|| histogram!(STORE_SECONDS, "operation" => operation).record(took.as_secs_f64()));
}

/// Counts a transition.
pub(crate) fn transition(transition: &CircuitTransition) {
    caught(|| {
        counter!(
            TRANSITIONS,
            "circuit" => transition.label().to_string(),
            "from" => transition.from_state.as_str(),
            "to" => transition.to_state.as_str(),
            "cause" => cause(&transition.cause),
            "origin" => origin(transition.origin),
        )
        .increment(1);
    });
}

/// Counts a store operation that failed: a read, or the write of this name.
pub(crate) fn store_fault(operation: &'static str, kind: StoreErrorKind) {
    caught(|| {
        counter!(STORE_FAULTS, "operation" => operation, "kind" => fault(kind)).increment(1);
    });
}

/// Sets the gauge to 1 while the store is misconfigured, else to 0.
pub(crate) fn store_misconfigured(is_misconfigured: bool) {
    caught(|| gauge!(STORE_MISCONFIGURED).set(f64::from(is_misconfigured)));
}

/// Counts settings for circuits that run: `taken`, or `refused`.
pub(crate) fn reconfigured(result: &'static str) {
    caught(|| counter!(RECONFIGURATIONS, "result" => result).increment(1));
}

/// Tells which settings file is in force, and whether a newer one is refused.
pub(crate) fn settings_file(checksum: u32, is_refused: bool) {
    caught(|| {
        gauge!(SETTINGS_CHECKSUM).set(f64::from(checksum));
        gauge!(SETTINGS_REFUSED).set(f64::from(is_refused));
    });
}

/// Returns the label: the same word that `serde` writes.
pub(super) const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::FailureThreshold => "failure_threshold",
        Cause::Rule(_) => "rule",
        Cause::OpenFor => "open_for",
        Cause::RecoveryTimeout => "recovery_timeout",
        Cause::TakeOver { .. } => "take_over",
        Cause::ProbesSucceeded => "probes_succeeded",
        Cause::ProbeFailed => "probe_failed",
        Cause::Hold => "hold",
        Cause::Release => "release",
        Cause::HoldEnded => "hold_ended",
        Cause::WouldOpen => "would_open",
        Cause::RecordGone => "record_gone",
        Cause::StoreUnreadable => "store_unreadable",
        Cause::Refuted => "refuted",
        Cause::Elsewhere => "elsewhere",
        Cause::Forgotten => "forgotten",
    }
}

/// Returns the label: the same word that `serde` writes.
pub(super) const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::WithoutStore => "without_store",
        Origin::Observed => "observed",
    }
}

const fn fault(kind: StoreErrorKind) -> &'static str {
    match kind {
        StoreErrorKind::Timeout => "timeout",
        StoreErrorKind::Unavailable => "unavailable",
        StoreErrorKind::Throttled => "throttled",
        StoreErrorKind::Misconfigured => "misconfigured",
        StoreErrorKind::BadAnswer => "bad_answer",
    }
}
