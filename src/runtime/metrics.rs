//! What is counted, through the `metrics` facade as logs go through `tracing`:
//! nothing without the feature of that name.
//!
//! Called where the actor logs, and by the actor itself: a task that subscribed
//! to transitions would lose those that it fell behind with. Never called for
//! an admission or a rejection, which cost nothing. The handles are not kept:
//! what is counted is rare, and an idle circuit stays small.

#[cfg(feature = "metrics")]
mod recorded;
#[cfg(feature = "metrics")]
#[cfg(test)]
mod tests;

pub(crate) use self::recorded::{describe, store_fault, store_misconfigured, transition};

/// Without the feature.
#[cfg(not(feature = "metrics"))]
mod recorded {
    use crate::{protocol::answer::StoreErrorKind, transition::CircuitTransition};

    pub(crate) const fn describe() {}

    pub(crate) const fn transition(_: &CircuitTransition) {}

    pub(crate) const fn store_fault(_: &'static str, _: StoreErrorKind) {}

    pub(crate) const fn store_misconfigured(_: bool) {}
}
