//! Deliberately weakened rules, each of which the checker has to refute.

use crate::item::{Item, Seen, State, Write};

/// Which rule is weakened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weak {
    /// None: the protocol as it is.
    Nothing,
    /// A trip over a closed record also lands where the record is gone.
    TripOrAbsent,
    /// A closing lands whoever holds the lease.
    CloseWithoutToken,
    /// A reopening lands whoever holds the lease.
    ReopenWithoutToken,
    /// An election lands on any opening, not the one that was seen.
    ElectAnyOpening,
    /// A takeover lands whatever the lease has become.
    TakeOverAnyLease,
    /// The start of a further probe leaves the count on the item.
    KeptCount,
    /// A token that saw a failure forgets to reopen, and may close.
    FailedTokenCloses,
    /// A takeover does not wait for the lease to run out.
    TakeOverAtOnce,
    /// A refused closing believes that any closed item is its own work.
    AnyClosedIsOurs,
    /// A handed over right cannot be taken over.
    NoTakeOver,
    /// A right that this process left by tripping is found again and used.
    RegainAfterTrip,
}

impl Weak {
    /// The write as a store would take it that checks less.
    pub(crate) fn write(self, write: Write, seen: Seen) -> Write {
        let half_open = seen.filter(|item| item.state == State::HalfOpen);
        let leader = half_open.and_then(|item| item.owner);
        match (self, write) {
            (Self::TripOrAbsent, Write::Trip { opened, counted, at, .. }) if seen.is_none() => {
                Write::Trip { seen: None, opened, counted, at }
            }
            (Self::CloseWithoutToken, Write::Close { token, at }) => {
                Write::Close { token: leader.unwrap_or(token), at }
            }
            (Self::ReopenWithoutToken, Write::Reopen { token, opened, at }) => {
                Write::Reopen { token: leader.unwrap_or(token), opened, at }
            }
            (Self::ElectAnyOpening, Write::Elect { seen: known, token, at }) => {
                let opened = seen.map_or(known.opened, |item| item.opened);
                Write::Elect { seen: Item { opened, ..known }, token, at }
            }
            (Self::TakeOverAnyLease, Write::TakeOver { seen: known, token, at }) => {
                let lease = seen.map_or(known.lease, |item| item.lease);
                Write::TakeOver { seen: Item { lease, ..known }, token, at }
            }
            (Self::KeptCount, Write::Renew { token, lease, at, .. }) => {
                Write::Renew { token, lease, starts: false, at }
            }
            (_, write) => write,
        }
    }
}
