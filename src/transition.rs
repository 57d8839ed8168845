//! One state change of a circuit, as an event.

mod text;

use std::{sync::Arc, time::SystemTime};

use crate::{config::Rule, hold::info::HoldInfo, name::CircuitName, state::CircuitState};

/// One state change of a circuit, broadcast to every subscriber. An operator's hold that begins,
/// changes or ends is one too, once in each process that learns of it, whether or not the state is
/// another by that.
///
/// A metric that counts the transitions whose [`origin`](Self::origin) is
/// [`Origin::Local`] counts each one once in a fleet,
/// with two exceptions: a trip or a reopening whose answer was lost is observed by
/// all processes and local to none, and a closing in the same second as an operator's release
/// is local to both.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CircuitTransition {
    /// The circuit's name.
    pub circuit_name: CircuitName,
    /// The state before, as this process last announced it.
    pub from_state: CircuitState,
    /// The state after.
    pub to_state: CircuitState,
    /// The time at which the circuit opened, in whole seconds since the Unix epoch, if the new
    /// state has such a time.
    pub opened_at: Option<i64>,
    /// The cause of the transition.
    pub cause: Cause,
    /// The process that made it: this one, or another.
    pub origin: Origin,
    /// The time at which this process decided or learned of it, by its own wall clock.
    pub at: SystemTime,
    /// The time at which the outage began, in whole seconds since the Unix epoch: its first
    /// opening, whichever process saw it, and not the last reopening. `None` if the new state is
    /// closed. Powertools (Python) drops it from the shared item: then it is what this process
    /// saw.
    pub down_since: Option<i64>,
    /// The cause of the first opening of the outage; `None` if the new state is closed.
    /// [`Cause::Elsewhere`] if neither this process nor the shared item knows it.
    pub outage_cause: Option<Cause>,
    /// The operator's hold that the circuit is under in its new state, if it is.
    pub hold: Option<HoldInfo>,
    /// The hold that ended with this transition, or that [`hold`](Self::hold) replaces. `None` if
    /// this process had told of none.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ended_hold: Option<HoldInfo>,
    /// Whether the circuit is in a [dry run](crate::ConfigBuilder::dry_run): no call is rejected.
    #[cfg_attr(feature = "serde", serde(default))]
    pub dry_run: bool,
}

impl CircuitTransition {
    /// Returns the name under which metrics show the circuit.
    #[cfg(feature = "metrics")]
    pub(crate) fn label(&self) -> CircuitName {
        let tried = self.dry_run.then(|| self.circuit_name.dry_run_key().ok()).flatten();
        tried.unwrap_or_else(|| self.circuit_name.clone())
    }
}

/// The cause of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Cause {
    /// As many consecutive calls failed as the failure threshold says.
    FailureThreshold,
    /// This rule says that too many calls failed.
    Rule(Rule),
    /// A call asked for the circuit to be open for a time
    /// ([`Outcome::OpenFor`](crate::Outcome::OpenFor)): the dependency is throttled, or says when
    /// it will be back.
    OpenFor,
    /// This process fails where others do not: others' probes closed the circuit that
    /// it had tripped, and its own calls fail again. It opens for itself alone, and
    /// writes nothing.
    Refuted,
    /// The recovery timeout passed and this process won the right to probe.
    RecoveryTimeout,
    /// The lease of a prober ran out and another took the right to probe.
    /// Both states of such a transition are half-open.
    TakeOver {
        /// The token that held the lease, if the item named one.
        previous_owner: Option<Arc<str>>,
        /// The token that holds it now.
        owner: Arc<str>,
    },
    /// As many consecutive probes succeeded as the success threshold says.
    ProbesSucceeded,
    /// A probe failed.
    ProbeFailed,
    /// An operator holds the circuit open, or closed. Both states of such a transition are the
    /// same where the circuit was in that state before: also where a hold replaces another, with
    /// a new end, reason or name.
    Hold,
    /// An operator ended a hold, or an opening. Both states of such a transition are closed if it
    /// was a hold closed.
    Release,
    /// The time of a hold closed has passed: failures trip as ever. Both states of such a
    /// transition are closed, and its origin is [`Origin::WithoutStore`], since each process tells
    /// it by its own clock. The end of a hold open is told by the probe that follows
    /// ([`Cause::RecoveryTimeout`]), in [`ended_hold`](CircuitTransition::ended_hold).
    HoldEnded,
    /// A rule has tripped while an operator holds the circuit closed: it stays closed, and nothing
    /// is written. Told once for each epoch. Both states of such a transition are closed, and
    /// its origin is [`Origin::WithoutStore`].
    WouldOpen,
    /// The record of a circuit that was not closed was deleted: it is probed before
    /// traffic flows.
    RecordGone,
    /// The store could not be read, so that the circuit fails open.
    StoreUnreadable,
    /// Another process, or another program, changed the shared item.
    Elsewhere,
    /// The circuit did not change: this process has forgotten it, since it had no handle and no
    /// call for `recovery_timeout` and an hour. Announced for circuits that are not closed.
    /// Both states of such a transition are the last that was announced, and its origin is
    /// [`Origin::Observed`]. A new breaker for the circuit follows it again.
    Forgotten,
}

/// The process that made a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Origin {
    /// This process: its conditional write was applied.
    Local,
    /// This process alone: the store could not be reached, or the transition
    /// concerns no other process. Nothing was written when it was made.
    WithoutStore,
    /// Another process: this one read the change, or learned of it from a refused write.
    Observed,
}
