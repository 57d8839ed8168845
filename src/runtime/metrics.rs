//! All metrics of the crate, through the `metrics` facade. Without the feature of that name the
//! functions are empty.
//!
//! The actor calls them where it logs. A task that subscribed to transitions could fall behind,
//! and would lose some. No admission and no rejection calls them: those must cost nothing.
//! Handles of metrics are not kept: events are rare, and an idle circuit stays small.

#[cfg(feature = "metrics")]
mod recorded;
#[cfg(feature = "metrics")]
#[cfg(test)]
mod tests;

pub(crate) use self::recorded::{describe, store_fault, store_misconfigured, transition};

/// The empty functions, without the feature.
#[cfg(not(feature = "metrics"))]
mod recorded {
    use crate::{protocol::answer::StoreErrorKind, transition::CircuitTransition};

    pub(crate) const fn describe() {}

    pub(crate) const fn transition(_: &CircuitTransition) {}

    pub(crate) const fn store_fault(_: &'static str, _: StoreErrorKind) {}

    pub(crate) const fn store_misconfigured(_: bool) {}
}
