//! The outcome of a call, as its caller observed it.

/// The verdict on one protected call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency answered well: the streak of failures ends.
    Success,
    /// The dependency failed: the streak grows.
    Failure,
    /// The call shows nothing about the dependency: it neither counts nor ends a streak, and
    /// decides no probe.
    Ignored,
}
