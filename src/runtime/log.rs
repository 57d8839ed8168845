//! All events that the crate logs, through `tracing`.
//!
//! A subscriber of `tracing` is the user's code, and runs on the actor's task or on a caller's.
//! Each event catches its panics: a subscriber that panics (a layer whose pipe is closed) loses
//! the event, and no circuit. Text from elsewhere is escaped, so that it cannot forge a
//! second line.

use std::{fmt::Display, path::Path};

use crate::{
    hold::HoldInfo,
    name::{CircuitName, Escaped},
    panics::caught,
    protocol::answer::StoreErrorKind,
    transition::{Cause, CircuitTransition},
};

/// A circuit changed its state, or the hold that it is under. `instance` is the name of this
/// process, if it has one.
pub(crate) fn transition(transition: &CircuitTransition, instance: Option<&str>) {
    caught(|| {
        let hold = transition.hold.as_ref().or(transition.ended_hold.as_ref());
        // As strings, which are shown in quotes: they may look like fields.
        let by = hold.and_then(|hold| hold.by.as_ref()).map(|by| Escaped(by).to_string());
        let reason = hold.map(|hold| Escaped(&hold.reason).to_string());
        tracing::info!(
            circuit = %transition.circuit_name,
            from = %transition.from_state,
            to = %transition.to_state,
            cause = ?transition.cause,
            origin = ?transition.origin,
            instance,
            hold_by = by,
            hold_reason = reason,
            hold_until = hold.map(HoldInfo::until_seconds),
            dry_run = transition.dry_run.then_some(true),
            "{}",
            what_happened(transition)
        );
        if transition.cause == Cause::Refuted && !transition.dry_run {
            tracing::warn!(
                circuit = %transition.circuit_name,
                "this process fails where others do not: the circuit is open here alone"
            );
        }
    });
}

fn what_happened(transition: &CircuitTransition) -> &'static str {
    let is_same = transition.from_state == transition.to_state;
    let may_end_hold =
        matches!(transition.cause, Cause::Release | Cause::HoldEnded | Cause::Elsewhere);
    if transition.cause == Cause::WouldOpen {
        "circuit would open, and is held closed"
    } else if is_same && transition.cause == Cause::Hold {
        "circuit is held in the state that it had"
    } else if is_same && may_end_hold {
        "circuit is held no more, and keeps its state"
    } else {
        "circuit changed its state"
    }
}

/// The shared item of a circuit has an attribute that cannot be read.
pub(crate) fn defective_item(circuit: &CircuitName, attribute: &'static str) {
    caught(|| {
        tracing::warn!(
            %circuit,
            attribute,
            "the shared item has a missing or unreadable attribute; \
             the next write that opens or closes this circuit mends it"
        );
    });
}

/// The store of a circuit keeps no votes. The machine asks it once.
pub(crate) fn no_votes(circuit: &CircuitName) {
    caught(|| {
        tracing::warn!(%circuit, "the circuit store keeps no votes: the rule of votes never trips");
    });
}

/// This process was frozen and has thawed.
pub(crate) fn thawed(circuit: &CircuitName) {
    caught(|| {
        tracing::debug!(%circuit, "this process was frozen: calls from before count for nothing");
    });
}

/// A store operation failed because the process was frozen while it ran.
pub(crate) fn stood_still(circuit: &CircuitName, error: &dyn Display) {
    caught(|| {
        tracing::debug!(%circuit, error = %Escaped(error), "this process stood still");
    });
}

/// A store operation failed.
pub(crate) fn store_failed(
    circuit: &CircuitName,
    operation: &'static str,
    error: &dyn Display,
    kind: StoreErrorKind,
) {
    caught(|| {
        let error = Escaped(error);
        tracing::warn!(%circuit, operation, %error, ?kind, "the circuit store failed");
    });
}

/// A store operation failed in a way that waiting does not mend.
pub(crate) fn store_misconfigured(
    circuit: &CircuitName,
    operation: &'static str,
    error: &dyn Display,
    should_log: bool,
) {
    caught(|| {
        let error = Escaped(error);
        if should_log {
            tracing::error!(%circuit, operation, %error,
                "the circuit store is misconfigured; this process protects itself alone");
        } else {
            tracing::debug!(%circuit, operation, %error, "the circuit store is still misconfigured");
        }
    });
}

/// The actor of a circuit panicked, and starts over.
pub(crate) fn started_over(circuit: &CircuitName) {
    caught(|| {
        tracing::error!(
            %circuit,
            "the task of a circuit panicked and starts over; failures that were counted are \
             forgotten: please report this panic"
        );
    });
}

/// A breaker is used whose registry has ended.
pub(crate) fn unprotected(circuit: &CircuitName, with_runtime: bool) {
    caught(|| {
        if with_runtime {
            tracing::warn!(
                %circuit,
                "the tokio runtime of a registry has ended while its breakers are in use; they let \
                 every call through once what they know is too old: spawn a registry on a runtime \
                 that lives as long as them"
            );
        } else {
            tracing::warn!(
                %circuit,
                "a registry was dropped while its breakers are in use; they let every call \
                 through once what they know is too old: keep the registry as long as them"
            );
        }
    });
}

/// The budget of a flush after a request was spent.
#[cfg(feature = "tower")]
pub(crate) fn unflushed(error: &dyn Display) {
    caught(|| {
        tracing::warn!(%error, "the flush after a request was not done in its time");
    });
}

/// Calls that hang one after the other do not lie within a window.
pub(crate) fn window_too_short(window: &'static str) {
    caught(|| {
        tracing::warn!(
            window,
            "calls that hang one after the other do not trip a circuit by this window: it is \
             shorter than slow_after times the failures that it needs"
        );
    });
}

/// A setting of a circuit that runs has changed.
pub(crate) fn setting_changed(
    circuit: &CircuitName,
    setting: &str,
    old: &str,
    new: &str,
    instance: Option<&str>,
) {
    caught(|| tracing::info!(%circuit, setting, %old, %new, instance, "a setting has changed"));
}

/// A circuit keeps its settings, because whether it is in a dry run cannot change while it runs.
pub(crate) fn needs_restart(circuit: &CircuitName, instance: Option<&str>) {
    caught(|| {
        tracing::warn!(
            %circuit,
            instance,
            "dry_run cannot change while a circuit runs: this one keeps all its settings until \
             this process is restarted"
        );
    });
}

/// The settings of a file are in force.
pub(crate) fn settings_taken(path: &Path, checksum: u32, changed: usize, instance: Option<&str>) {
    caught(|| {
        let path = Escaped(path.display());
        tracing::info!(%path, checksum, changed, instance, "the settings of a file are in force");
    });
}

/// The settings of a file are not taken. The text is of others: a file, and who reads it.
pub(crate) fn settings_refused(path: &Path, error: &dyn Display, instance: Option<&str>) {
    caught(|| {
        let (path, error) = (Escaped(path.display()), Escaped(error));
        tracing::warn!(
            %path,
            %error,
            instance,
            "the settings of a file are refused: those before stay in force"
        );
    });
}

/// A registry is spawned whose breakers are disabled.
pub(crate) fn disabled() {
    caught(|| {
        tracing::warn!(
            "circuit breakers are disabled: every call runs; \
             this is meant for development, not for production"
        );
    });
}
