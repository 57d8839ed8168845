//! The writes of the protocol: a condition on what was seen, and an update.

use std::{fmt, sync::Arc};

use super::{Field, Record};
use crate::state::CircuitState;

/// The fencing token of one election: fresh random text for every election,
/// never the identity of a process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LeaseToken(Arc<str>);

impl LeaseToken {
    /// Wraps the text of a token.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(Arc::from(token.as_ref()))
    }

    /// Returns the text that stands in `half_open_owner`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The field that a record shows while this token holds the lease.
    #[must_use]
    pub fn as_owner(&self) -> Field<Arc<str>> {
        Field::Valid(Arc::clone(&self.0))
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One conditional write on the record of a circuit.
///
/// Every operation is a compare-and-set: applied whole, or refused and the
/// record shown as it stands. Attributes that an operation does not name are
/// left as they are, those unknown to this crate included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Closed to open, after enough failures. Condition: no record if none was
    /// seen, else the state and expiry that were seen.
    Trip {
        /// The closed record that the failures were counted under.
        seen: Option<Record>,
        /// The failures that tripped the circuit.
        failure_count: u64,
        /// When it opened.
        opened_at: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Open to half-open: wins the right to probe. Condition: the state, time
    /// and owner that were seen.
    Elect {
        /// The open record that was seen.
        seen: Record,
        /// The token of this election.
        token: LeaseToken,
        /// When the lease ends.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// None to half-open: wins the right to probe a circuit whose record
    /// vanished while it was not closed. Condition: no record.
    ElectAbsent {
        /// The token of this election.
        token: LeaseToken,
        /// When the circuit opened, as far as it is known.
        opened_at: i64,
        /// When the lease ends.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// An expired lease changes hands. Condition: the state, owner and lease
    /// that were seen.
    TakeOver {
        /// The half-open record that was seen.
        seen: Record,
        /// The token of this election.
        token: LeaseToken,
        /// When the lease ends.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Lengthens our own lease. Condition: half-open, ours, and shorter.
    Renew {
        /// Our token.
        token: LeaseToken,
        /// When the lease is to end.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
        /// Whether a further probe starts: then `success_count` is set to 0.
        starts_probe: bool,
    },
    /// A good probe that was not the last. Condition: half-open, ours, with
    /// the lease that we know.
    HandOver {
        /// Our token.
        token: LeaseToken,
        /// The lease as we know it.
        known_lease: Field<i64>,
        /// Good probes so far.
        success_count: u64,
        /// When others may probe.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// A probe without a verdict; ends the token. Condition as for a hand over.
    GiveBack {
        /// Our token.
        token: LeaseToken,
        /// The lease as we know it.
        known_lease: Field<i64>,
        /// Good probes before this one.
        success_count: u64,
        /// A time already past for everyone.
        lease_until: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Half-open to closed. Condition: half-open and ours.
    Close {
        /// Our token.
        token: LeaseToken,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Half-open to open, after a failed probe. Condition: half-open and ours.
    Reopen {
        /// Our token.
        token: LeaseToken,
        /// When it opened again.
        opened_at: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Any state to open, by an operator. Condition: exactly what was seen, but
    /// that `released` may have come to it.
    Hold {
        /// The record that was seen.
        seen: Option<Record>,
        /// `hold#` and the operator's reason.
        owner: Arc<str>,
        /// The end of the hold less the recovery timeout.
        opened_at: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
    /// Any state to closed, by an operator. Condition: as for a hold.
    Release {
        /// The record that was seen.
        seen: Record,
        /// When the operator closed it.
        released_at: i64,
        /// When the store may delete the record.
        expires_at: i64,
    },
}

impl Operation {
    /// Applies the operation to a record: `Some` is the record after it,
    /// `None` says that the condition refuses it.
    ///
    /// This is the definition that every store has to meet.
    ///
    /// ```
    /// use fuseboard::store::{Operation, Record};
    /// use fuseboard::CircuitState;
    ///
    /// let trip = Operation::Trip { seen: None, failure_count: 5, opened_at: 1_000, expires_at: 4_630 };
    /// let open = trip.apply(None).expect("no record stands in the way");
    /// assert_eq!(open.state, CircuitState::Open.into());
    /// assert_eq!(trip.apply(Some(&open)), None);
    /// ```
    #[must_use]
    pub fn apply(&self, current: Option<&Record>) -> Option<Record> {
        if !self.permits(current) {
            return None;
        }
        let mut record = current.cloned().unwrap_or_default();
        self.update(&mut record);
        Some(record)
    }

    /// Returns the name of the operation, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Trip { .. } => "trip",
            Self::Elect { .. } => "elect",
            Self::ElectAbsent { .. } => "elect absent",
            Self::TakeOver { .. } => "take over",
            Self::Renew { .. } => "renew",
            Self::HandOver { .. } => "hand over",
            Self::GiveBack { .. } => "give back",
            Self::Close { .. } => "close",
            Self::Reopen { .. } => "reopen",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
        }
    }

    /// Whether the record is as the operation requires.
    pub(crate) fn permits(&self, current: Option<&Record>) -> bool {
        match (self, current) {
            (
                Self::Trip { seen: None, .. }
                | Self::ElectAbsent { .. }
                | Self::Hold { seen: None, .. },
                found,
            ) => found.is_none(),
            (_, None) => false,
            (Self::Hold { seen: Some(seen), .. } | Self::Release { seen, .. }, Some(record)) => {
                seen.still_stands_in(record)
            }
            (Self::Trip { seen: Some(seen), .. }, Some(record)) => {
                record.state == seen.state && record.expires_at == seen.expires_at
            }
            (Self::Elect { seen, .. }, Some(record)) => {
                record.state == Field::Valid(CircuitState::Open)
                    && record.opened_at == seen.opened_at
                    && record.owner == seen.owner
            }
            (Self::TakeOver { seen, .. }, Some(record)) => {
                record.state == Field::Valid(CircuitState::HalfOpen)
                    && record.owner == seen.owner
                    && record.lease_until == seen.lease_until
            }
            (Self::Renew { token, lease_until, .. }, Some(record)) => {
                record.is_leased_to(token)
                    && record.lease_until.valid().is_some_and(|until| until < lease_until)
            }
            (
                Self::HandOver { token, known_lease, .. }
                | Self::GiveBack { token, known_lease, .. },
                Some(record),
            ) => record.is_leased_to(token) && record.lease_until == *known_lease,
            (Self::Close { token, .. } | Self::Reopen { token, .. }, Some(record)) => {
                record.is_leased_to(token)
            }
        }
    }

    fn update(&self, record: &mut Record) {
        match self {
            Self::Trip { seen, failure_count, opened_at, expires_at } => {
                record.become_open(*failure_count, *opened_at, *expires_at, Field::Absent);
                record.forget_release(seen.as_ref());
            }
            Self::Reopen { opened_at, expires_at, .. } => {
                record.become_open(0, *opened_at, *expires_at, Field::Absent);
            }
            Self::Hold { seen, owner, opened_at, expires_at } => {
                let owner = Field::Valid(Arc::clone(owner));
                record.become_open(0, *opened_at, *expires_at, owner);
                record.forget_release(seen.as_ref());
            }
            Self::Elect { seen, token, lease_until, expires_at }
            | Self::TakeOver { seen, token, lease_until, expires_at } => {
                record.become_half_open(token, *lease_until, *expires_at);
                record.forget_release(Some(seen));
            }
            Self::ElectAbsent { token, opened_at, lease_until, expires_at } => {
                record.become_half_open(token, *lease_until, *expires_at);
                record.opened_at = (*opened_at).into();
            }
            Self::Renew { lease_until, expires_at, starts_probe, .. } => {
                record.lease_until = (*lease_until).into();
                record.expires_at = (*expires_at).into();
                if *starts_probe {
                    record.success_count = 0.into();
                }
            }
            Self::HandOver { success_count, lease_until, expires_at, .. }
            | Self::GiveBack { success_count, lease_until, expires_at, .. } => {
                record.success_count = (*success_count).into();
                record.lease_until = (*lease_until).into();
                record.expires_at = (*expires_at).into();
            }
            Self::Close { expires_at, .. } => record.become_closed(*expires_at),
            Self::Release { released_at, expires_at, .. } => {
                record.become_closed(*expires_at);
                record.released = (*released_at).into();
            }
        }
    }
}

impl Record {
    fn become_open(&mut self, failures: u64, at: i64, expires_at: i64, owner: Field<Arc<str>>) {
        self.state = CircuitState::Open.into();
        self.failure_count = failures.into();
        self.opened_at = at.into();
        self.owner = owner;
        self.lease_until = Field::Absent;
        self.expires_at = expires_at.into();
        self.success_count = Field::Absent;
    }

    fn become_half_open(&mut self, token: &LeaseToken, lease_until: i64, expires_at: i64) {
        self.state = CircuitState::HalfOpen.into();
        self.failure_count = 0.into();
        self.owner = token.as_owner();
        self.lease_until = lease_until.into();
        self.success_count = 0.into();
        self.expires_at = expires_at.into();
    }

    fn become_closed(&mut self, expires_at: i64) {
        self.state = CircuitState::Closed.into();
        self.failure_count = 0.into();
        self.opened_at = Field::Absent;
        self.owner = Field::Absent;
        self.lease_until = Field::Absent;
        self.expires_at = expires_at.into();
        self.success_count = Field::Absent;
    }

    /// Removes `released` where the record that was seen has it. No other write
    /// names the attribute, so that what is sent for a circuit that no operator
    /// released is what it was before there was one. Elections remove it as
    /// well, since those of the reference leave it: a closing by probes must
    /// not pass for an operator's.
    fn forget_release(&mut self, seen: Option<&Self>) {
        if seen.is_some_and(|seen| seen.released != Field::Absent) {
            self.released = Field::Absent;
        }
    }

    /// Whether the other record has all that this one has. A `released` that
    /// came since does not count: see [`forget_release`](Self::forget_release).
    fn still_stands_in(&self, other: &Self) -> bool {
        let Self {
            state,
            failure_count,
            opened_at,
            owner,
            lease_until,
            expires_at,
            success_count,
            released,
        } = self;
        *state == other.state
            && *failure_count == other.failure_count
            && *opened_at == other.opened_at
            && *owner == other.owner
            && *lease_until == other.lease_until
            && *expires_at == other.expires_at
            && *success_count == other.success_count
            && (*released == Field::Absent || *released == other.released)
    }
}
