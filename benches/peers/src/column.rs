//! What is measured of each.

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Admit and report a success, one thread.
    Closed,
    /// The same, two threads on one circuit.
    Together,
    /// The asynchronous call, one thread.
    Call,
    /// The same call through the crate's layer for tower, one thread.
    Layer,
    /// On an open circuit, one thread.
    Rejected,
    /// The same, and the caller learns all that is known of the circuit.
    Informed,
    /// No breaker at all.
    Floor,
    /// A floor, two threads that share nothing: what they cost each other on
    /// this machine.
    Apart,
}
