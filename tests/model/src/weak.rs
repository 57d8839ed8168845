//! Deliberately weakened rules, each of which the checker has to refute.

use crate::item::{Item, Seen, State, Write};

/// Which rule is weakened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weak {
    /// None: the protocol as it is.
    Nothing,
    /// A trip over a closed record also lands where the record is gone.
    TripOrAbsent,
    /// A trip that saw no record also lands on a closed one.
    TripUnseen,
    /// A trip lands on any closed record, not the one that was seen.
    TripAnyClosed,
    /// A closing lands whoever holds the lease.
    CloseWithoutToken,
    /// A trip lands on any closed record that expires like the one that was seen, held or not.
    TripAnyHold,
    /// A process trips though it knows that the circuit is held closed.
    TripOverHold,
    /// A reopening lands whoever holds the lease.
    ReopenWithoutToken,
    /// A renewal lands whoever holds the lease.
    RenewWithoutToken,
    /// A renewal may also shorten the lease.
    RenewShorter,
    /// A hand over lands whoever holds the lease, and whatever it is.
    HandOverWithoutToken,
    /// A hand over lands whatever the lease has become.
    HandOverAnyLease,
    /// A give back lands whoever holds the lease, and whatever it is.
    GiveBackWithoutToken,
    /// An election lands on any opening, not the one that was seen.
    ElectAnyOpening,
    /// An election lands though an operator holds the circuit.
    ElectOverHold,
    /// A takeover lands whatever the lease has become.
    TakeOverAnyLease,
    /// A takeover lands whoever held the lease.
    TakeOverAnyOwner,
    /// A hold lands on what the operator has not seen.
    HoldUnseen,
    /// A release lands on what the operator has not seen.
    ReleaseUnseen,
    /// The start of a further probe leaves the count on the item.
    KeptCount,
    /// A takeover leaves the count on the item.
    TakerKeepsCount,
    /// A token that saw a failure forgets to reopen, and counts anew.
    FailedTokenCloses,
    /// A takeover does not wait for the lease to run out.
    TakeOverAtOnce,
    /// A refused closing believes that any closed item is its own work.
    AnyClosedIsOurs,
    /// A refused closing believes so though its lease had run out.
    PastLeaseClosedIsOurs,
    /// A renewal may set a lease again that its token had before.
    RepeatedLease,
    /// A handed over right cannot be taken over.
    NoTakeOver,
    /// A right that this process left by tripping is found again and used.
    RegainAfterTrip,
    /// A right that is found again after an outage is used without a renewal.
    RegainUnrenewed,
    /// A late answer to a reopening is taken for that of a newer opening.
    LateReopenIsNewer,
    /// A late answer to a trip is taken for that of a newer opening.
    LateTripIsNewer,
    /// An opening that nobody was told of is offered to any closed record.
    TripOwedForEver,
    /// An opening that was told without the store is offered to any closed record.
    ToldTripIsOffered,
    /// A trip is sent though its last failure is older than a recovery time.
    AgedTripIsSent,
    /// A trip is sent though a freeze lies between.
    FrozenTripIsSent,
    /// An election of an absent record also lands on one that is there.
    ElectAbsentAnyway,
    /// A process that is refuted trips for all.
    RefutedTrips,
    /// A refuted process waits for others to close what it alone opened.
    RefutedWaits,
    /// A release contradicts whose trip it ends.
    ReleaseContradicts,
    /// A process is contradicted by its own closing.
    OwnCloseContradicts,
    /// A throttled write is taken to be applied.
    ThrottledIsApplied,
    /// A throttled store is taken to be out.
    ThrottledIsOut,
    /// A read that is older than the own last write is believed.
    BehindOwnWrite,
}

impl Weak {
    /// The write, and the item it finds, as a store would take them that checks less.
    pub(crate) fn write(self, write: Write, seen: Seen) -> (Write, Seen) {
        let half_open = seen.filter(|item| item.state == State::HalfOpen);
        let leader = half_open.and_then(|item| item.owner);
        let lease = seen.and_then(|item| item.lease);
        let write = match (self, write) {
            (Self::TripOrAbsent, Write::Trip { opened, counted, at, .. }) if seen.is_none() => {
                Write::Trip { seen: None, opened, counted, at }
            }
            (Self::TripUnseen, Write::Trip { seen: None, opened, counted, at })
            | (Self::TripAnyClosed, Write::Trip { seen: Some(_), opened, counted, at })
                if seen.is_some_and(|item| item.state == State::Closed) =>
            {
                Write::Trip { seen, opened, counted, at }
            }
            (Self::TripAnyHold, Write::Trip { seen: Some(known), opened, counted, at }) => {
                let held = seen.and_then(|item| item.held);
                Write::Trip { seen: Some(Item { held, ..known }), opened, counted, at }
            }
            (Self::ElectAnyOpening, Write::Elect { seen: known, token, at }) => {
                let opened = seen.map_or(known.opened, |item| item.opened);
                Write::Elect { seen: Item { opened, ..known }, token, at }
            }
            (Self::ElectOverHold, Write::Elect { seen: known, token, at }) => {
                let (owner, held) =
                    seen.map_or((known.owner, known.held), |it| (it.owner, it.held));
                Write::Elect { seen: Item { owner, held, ..known }, token, at }
            }
            (Self::TakeOverAnyLease, Write::TakeOver { seen: known, token, at }) => {
                Write::TakeOver { seen: Item { lease, ..known }, token, at }
            }
            (Self::TakeOverAnyOwner, Write::TakeOver { seen: known, token, at }) => {
                Write::TakeOver { seen: Item { owner: leader, ..known }, token, at }
            }
            (Self::HoldUnseen, Write::Hold { at, .. }) => Write::Hold { seen, at },
            (Self::ReleaseUnseen, Write::Release { seen: known, at }) => {
                Write::Release { seen: seen.unwrap_or(known), at }
            }
            (Self::KeptCount, Write::Renew { token, lease, at, .. }) => {
                Write::Renew { token, lease, starts: false, at }
            }
            (_, write) => self.in_any_name(write, leader, lease),
        };
        let current = match (self, write) {
            (Self::RenewShorter, Write::Renew { .. }) => {
                seen.map(|item| Item { lease: item.lease.map(|_| 0), ..item })
            }
            (Self::ElectAbsentAnyway, Write::ElectAbsent { .. }) => None,
            (_, _) => seen,
        };
        (write, current)
    }

    /// The write in the name of whoever leads, on whatever lease stands.
    fn in_any_name(self, write: Write, leader: Option<u8>, lease: Option<u8>) -> Write {
        match (self, write) {
            (Self::CloseWithoutToken, Write::Close { token, live, at }) => {
                Write::Close { token: leader.unwrap_or(token), live, at }
            }
            (Self::ReopenWithoutToken, Write::Reopen { token, opened, at }) => {
                Write::Reopen { token: leader.unwrap_or(token), opened, at }
            }
            (Self::RenewWithoutToken, Write::Renew { token, lease, starts, at }) => {
                Write::Renew { token: leader.unwrap_or(token), lease, starts, at }
            }
            (Self::HandOverWithoutToken, Write::HandOver { token, count, lease: to, at, .. }) => {
                let token = leader.unwrap_or(token);
                Write::HandOver { token, known: lease, count, lease: to, at }
            }
            (Self::HandOverAnyLease, Write::HandOver { token, count, lease: to, at, .. }) => {
                Write::HandOver { token, known: lease, count, lease: to, at }
            }
            (Self::GiveBackWithoutToken, Write::GiveBack { token, count, lease: to, at, .. }) => {
                let token = leader.unwrap_or(token);
                Write::GiveBack { token, known: lease, count, lease: to, at }
            }
            (_, write) => write,
        }
    }

    /// The item after the write, as a store would leave it that changes less.
    pub(crate) fn item(self, write: &Write, before: Seen, after: Item) -> Item {
        match (self, write, before) {
            (Self::TakerKeepsCount, Write::TakeOver { .. }, Some(before)) => {
                Item { count: before.count, ..after }
            }
            (_, _, _) => after,
        }
    }
}
