//! The requests to the store, its responses, and the write to be made next, as plain values.

use std::{sync::Arc, time::Duration};

use crate::{
    protocol::answer::{Consistency, StoreErrorKind, Written},
    protocol::health::{Access, BackedOff},
    protocol::moment::Moment,
    protocol::record::{Hints, LeaseToken, Operation, Record},
};

/// One operation that the owner is to run on the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreRequest {
    /// Read the record.
    Read {
        /// The consistency that the read needs.
        consistency: Consistency,
        /// The use of the record, by which the owner orders reads.
        purpose: Purpose,
    },
    /// Write the record.
    Write {
        /// The fields to set, and the condition.
        operation: Arc<Operation>,
        /// When it was decided. The length of a lease counts from here: the store may apply
        /// the write at any time after it.
        sent_at: Moment,
    },
}

/// The use of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A closed circuit hears sooner of other processes.
    Freshness,
    /// Calls are admitted by it, or a trip is written.
    Decision,
    /// A write that keeps or ends a lease, or an operator's command, waits for it.
    Lease,
}

impl StoreRequest {
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Read { .. } => Access::Read,
            Self::Write { .. } => Access::Write,
        }
    }

    /// Returns `true` for all but reads for [`Purpose::Freshness`].
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(self, Self::Read { purpose: Purpose::Freshness, .. })
    }
}

/// The store operation in flight, and the one before it.
#[derive(Clone, Debug, Default)]
pub(in crate::protocol::machine) struct Request {
    pub(in crate::protocol::machine) in_flight: Option<Box<StoreRequest>>,
    /// When the latest one was started.
    pub(in crate::protocol::machine) started_at: Moment,
    /// True if this process was frozen while the one before it ran.
    pub(super) was_frozen: bool,
}

/// The end of a [`StoreRequest`].
#[derive(Clone, Debug)]
pub(crate) enum StoreResponse {
    /// The record that was read.
    Read(Option<Record>),
    /// The write was applied or refused.
    Written(Written),
    /// The store failed: a write may or may not have been applied.
    Failed(StoreErrorKind),
    /// The request was not sent: other circuits have found the store out.
    BackedOff(BackedOff),
}

/// A write to be made as soon as the store is free and usable.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::protocol::machine) enum PendingWrite {
    Trip,
    Elect,
    TakeOver,
    Renew {
        starts_probe: bool,
    },
    HandOver,
    GiveBack,
    Close {
        token: LeaseToken,
    },
    /// When, and how long. Boxed, since each idle circuit has room for a write.
    Reopen {
        token: LeaseToken,
        opening: Box<(i64, Hints)>,
    },
}

impl PendingWrite {
    /// Returns `true` if `operation` was made for this write, and `false` if this was decided
    /// while `operation` was in flight: then it has still to be made.
    pub(super) fn is_done_by(&self, operation: &Operation) -> bool {
        matches!(
            (self, operation),
            (Self::Trip, Operation::Trip { .. })
                | (Self::Elect, Operation::Elect { .. } | Operation::ElectAbsent { .. })
                | (Self::TakeOver, Operation::TakeOver { .. } | Operation::ElectAbsent { .. })
                | (Self::Renew { .. }, Operation::Renew { .. })
                | (Self::HandOver, Operation::HandOver { .. })
                | (Self::GiveBack, Operation::GiveBack { .. })
                | (Self::Close { .. }, Operation::Close { .. })
                | (Self::Reopen { .. }, Operation::Reopen { .. })
        )
    }
}

/// An election that was sent.
#[derive(Clone, Debug)]
pub(in crate::protocol::machine) struct Election {
    pub(in crate::protocol::machine) token: LeaseToken,
    pub(in crate::protocol::machine) sent_at: Moment,
    /// How long a lease it asked for.
    pub(in crate::protocol::machine) length: Duration,
    /// The latest lease that was asked for under the token. Each is later than the one before,
    /// so that a late duplicate of a write that names a lease is refused, and not applied to
    /// another lease of the same second.
    pub(in crate::protocol::machine) lease_until: i64,
    /// The record whose lease it took over, if it did.
    pub(in crate::protocol::machine) from: Option<Record>,
    /// True if this process knows that it has won.
    pub(in crate::protocol::machine) won: bool,
}
