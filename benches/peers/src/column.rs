//! What is measured of each.

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Admit and report a success, one thread.
    Closed,
    /// The same, two threads on one circuit.
    Together,
    /// Admit and report a success where rules count over calls or a time, of which no failure
    /// stands: one thread.
    Ruled,
    /// The same, two threads on one circuit.
    RuledTogether,
    /// The same while a failure stands, and good calls are counted: one thread.
    Watched,
    /// The same, two threads on one circuit.
    WatchedTogether,
    /// The asynchronous call, one thread.
    Call,
    /// The same where slow calls are counted.
    CallSlow,
    /// The asynchronous call around a future that pends once, where slow calls are counted.
    Pending,
    /// A call that fails, where rules count over calls and times, and a good one after it.
    Failing,
    /// The asynchronous call, through the crate's layer for tower, one thread.
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
    /// A floor, two threads that share what it is about.
    Shared,
}
