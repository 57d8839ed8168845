//! The metrics that `docs/metrics.md` lists. Only transitions have a circuit as a label: when the
//! store fails it fails for all circuits, and a fault with that label would make as many
//! series as there are circuits.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::{
    panics::caught,
    protocol::answer::StoreErrorKind,
    transition::{Cause, CircuitTransition, Origin},
};

pub(super) const TRANSITIONS: &str = "fuseboard_transitions_total";
pub(super) const STORE_FAULTS: &str = "fuseboard_store_faults_total";
pub(super) const STORE_MISCONFIGURED: &str = "fuseboard_store_misconfigured";

/// Describes every metric to the recorder that is installed.
pub(crate) fn describe() {
    caught(|| {
        describe_counter!(
            TRANSITIONS,
            Unit::Count,
            "State changes of circuits; those of origin \"local\" are told by the process that wrote them."
        );
        describe_counter!(STORE_FAULTS, Unit::Count, "Store operations that failed.");
        describe_gauge!(
            STORE_MISCONFIGURED,
            "1 while the store refuses reads or writes as misconfigured, 0 otherwise."
        );
        // Registered from the start, without a value: another registry may have set it.
        let _ = gauge!(STORE_MISCONFIGURED);
    });
}

/// Counts a transition.
pub(crate) fn transition(transition: &CircuitTransition) {
    caught(|| {
        counter!(
            TRANSITIONS,
            "circuit" => transition.circuit_name.to_string(),
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

/// Returns the label: the same word that `serde` writes.
pub(super) const fn cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::FailureThreshold => "failure_threshold",
        Cause::RecoveryTimeout => "recovery_timeout",
        Cause::TakeOver { .. } => "take_over",
        Cause::ProbesSucceeded => "probes_succeeded",
        Cause::ProbeFailed => "probe_failed",
        Cause::Hold => "hold",
        Cause::Release => "release",
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
