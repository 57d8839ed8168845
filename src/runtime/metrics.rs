//! All metrics of the crate, through the `metrics` facade. Without the feature of that name the
//! functions are empty, and [`Counts`] has no size.
//!
//! | what | when it reaches the recorder |
//! |---|---|
//! | transitions, ends of probes, store operations and their faults | when the actor learns of them |
//! | rejections and failures | counted in the circuit, and drained at each publication and by `observe` |
//! | state, age and the like | by `observe`, when somebody looks |
//!
//! A rejection costs one addition to a word of its circuit. A call of the facade for each would
//! look its series up by two labels, and run the recorder's code on the caller's thread: many
//! times what a rejection takes. A gauge that is set at transitions alone would be wrong in a
//! process without calls, whose snapshot only grows old.
//!
//! A task that subscribed to transitions could fall behind, and would lose some. Handles of
//! metrics are not kept: events are rare, and an idle circuit stays small.

#[cfg(feature = "metrics")]
mod counts;
#[cfg(feature = "metrics")]
mod observed;
#[cfg(feature = "metrics")]
mod recorded;
#[cfg(feature = "metrics")]
#[cfg(test)]
mod tests;

pub(crate) use self::recorded::{
    describe, lagged, probe, reconfigured, settings_file, store_fault, store_misconfigured,
    store_seconds, transition,
};
#[cfg(feature = "metrics")]
pub(crate) use self::{
    counts::Counts,
    observed::{Observed, observe},
};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::recorded::{Counts, Observed};

/// The empty functions, without the feature.
#[cfg(not(feature = "metrics"))]
mod recorded {
    use std::time::Duration;

    use crate::{
        name::CircuitName, protocol::answer::StoreErrorKind, protocol::machine::CallEnd,
        snapshot::Snapshot, transition::CircuitTransition,
    };

    /// Counts nothing.
    #[derive(Debug, Default)]
    pub(crate) struct Counts(());

    impl Counts {
        #[inline]
        pub(crate) const fn reject(&self) {}

        #[inline]
        pub(crate) const fn fail(&self) {}

        pub(crate) const fn drain(&self, _: &Snapshot) {}
    }

    /// Has never observed.
    #[derive(Debug, Default)]
    pub(crate) struct Observed(());

    impl Observed {
        pub(crate) const fn forget(&self, _: &CircuitName) {}
    }

    pub(crate) const fn describe() {}

    pub(crate) const fn transition(_: &CircuitTransition) {}

    pub(crate) const fn probe(_: &CircuitName, _: CallEnd) {}

    pub(crate) const fn lagged(_: u64) {}

    pub(crate) const fn store_seconds(_: &'static str, _: Duration) {}

    pub(crate) const fn store_fault(_: &'static str, _: StoreErrorKind) {}

    pub(crate) const fn store_misconfigured(_: bool) {}

    pub(crate) const fn reconfigured(_: &'static str) {}

    pub(crate) const fn settings_file(_: u32, _: bool) {}
}
