//! One call on its way through admission, as plain values.

use std::time::Duration;

use crate::protocol::machine::prober::ProbeId;

/// The longest time that a call waits for the read that it has begun before it is rejected.
pub(crate) const LONGEST_BRIEF_WAIT: Duration = Duration::from_millis(100);

/// Identifies an admitted call when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    /// The epoch in which the call was admitted.
    pub(crate) epoch: u64,
    /// The number of the probe, if the call is one.
    pub(crate) probe: Option<ProbeId>,
}

impl CallId {
    /// A call whose outcome was reported before its end. It is of no epoch, so that its end changes
    /// nothing.
    pub(crate) const REPORTED: Self = Self { epoch: 0, probe: None };
}

/// The decision on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The call may run.
    Admitted(CallId),
    /// The call may not run.
    Rejected,
    /// Ask again, with the same [`Arrival`], when the store operation has ended.
    Wait,
    /// As `Wait`, but reject the call if the operation takes longer than
    /// [`LONGEST_BRIEF_WAIT`]. The cached record rejects this call, which has begun the read
    /// that may show another state.
    WaitBriefly,
}

/// Remembers what the machine knew when a call came. A waiting call keeps it, and is
/// judged by what has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The number of reads that had ended. A read that ends later counts as made for the call.
    pub(super) reads: u64,
    /// The store was out.
    pub(super) outage: bool,
    /// Two or more failures in a row stood: other processes may have tripped already.
    pub(super) is_failing: bool,
    /// The call was told to [wait briefly](Admission::WaitBriefly).
    pub(super) waits_briefly: bool,
}

impl Arrival {
    /// Returns the same arrival, of a call that was told to
    /// [wait briefly](Admission::WaitBriefly).
    pub(crate) fn waiting_briefly(self) -> Self {
        Self { waits_briefly: true, ..self }
    }
}

/// The grounds on which one call is judged: its [`Arrival`], and what has happened since.
#[derive(Clone, Copy)]
pub(super) struct Evidence {
    /// A read has ended since the call came, with or without a record. The call does not
    /// wait for a second one, so that each call waits at most for one read.
    pub(super) was_read: bool,
    /// The store was out when the call came.
    pub(super) outage: bool,
    /// Two or more failures in a row stood when the call came.
    pub(super) is_failing: bool,
    /// The call has begun a read, and waits briefly for it.
    pub(super) waits_briefly: bool,
}
