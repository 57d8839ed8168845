//! What a caller observed of the dependency.

/// How one protected call ended, as far as the circuit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The dependency answered well: the streak of failures ends.
    Success,
    /// The dependency failed: the streak grows.
    Failure,
    /// The call says nothing about the dependency: neither counts nor resets,
    /// and decides no probe.
    Ignored,
}
