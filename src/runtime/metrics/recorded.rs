//! The metrics, as `docs/metrics.md` lists them. A circuit and a cause are told
//! apart in transitions only: faults are those of a store that all circuits
//! share, and would make as many series as there are circuits when it fails.

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
        // There from the start, and left as another registry has set it.
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

/// Counts an operation, a read or the write of that name, that the store failed.
pub(crate) fn store_fault(operation: &'static str, kind: StoreErrorKind) {
    caught(|| {
        counter!(STORE_FAULTS, "operation" => operation, "kind" => fault(kind)).increment(1);
    });
}

/// Shows whether the store is misconfigured.
pub(crate) fn store_misconfigured(is_misconfigured: bool) {
    caught(|| gauge!(STORE_MISCONFIGURED).set(f64::from(is_misconfigured)));
}

/// The word that `serde` has for it too.
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

/// The word that `serde` has for it too.
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
