//! The writes of the protocol: for each, the conditions on what was seen, and the
//! changes.
//!
//! This file is the protocol between processes: no store knows one operation from
//! another.

use std::sync::Arc;

use super::{
    Field, Hints, HoldTerms, LeaseToken, Record,
    attribute::{
        Attribute::{
            self, Cause, DownSince, ExpiresAt, FailedProbes, FailureCount, HoldUntil, LeaseUntil,
            OpenUntil, OpenedAt, Owner, Released, State, SuccessCount,
        },
        Change, Condition, Typed as _, untyped,
    },
    changes::{forget, set},
    held::{DETAILS, end_hold, forget_hold},
    hints::forget_length,
};
use crate::{hold::info::HoldKind, state::CircuitState};

/// One conditional write on the record of a circuit.
///
/// Every operation is a compare-and-set: a store applies it whole, or refuses it
/// and shows the stored record. It keeps the attributes that an operation does not
/// name, also those that this crate does not know.
///
/// A store does not match on these variants: [`apply`](Self::apply), or
/// [`conditions`](Self::conditions) and [`changes`](Self::changes), say all that it
/// has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Closed to open, after enough failures. Condition: no record if none was
    /// seen, else an unchanged state, expiry and end of a hold.
    Trip {
        /// The closed record that the failures were counted under.
        seen: Option<Record>,
        /// The failures that tripped the circuit.
        failure_count: u64,
        /// The time of opening, in seconds since the Unix epoch, as all times here.
        opened_at: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
        /// How long it lasts, and what the outage began with.
        hints: Hints,
    },
    /// Open to half-open: wins the right to probe. Condition: open, with an
    /// unchanged time and owner, and if it was held an unchanged end of the hold.
    Elect {
        /// The open record that was seen.
        seen: Record,
        /// The token of this election.
        token: LeaseToken,
        /// The end of the lease.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// No record to half-open: wins the right to probe a circuit whose record was
    /// deleted while it was not closed. Condition: no record.
    ElectAbsent {
        /// The token of this election.
        token: LeaseToken,
        /// The time of opening, if this process knows it; else the present.
        opened_at: i64,
        /// The end of the lease.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
        /// What the outage began with.
        hints: Hints,
    },
    /// An expired lease changes hands. Condition: half-open, with an unchanged
    /// owner and lease.
    TakeOver {
        /// The half-open record that was seen.
        seen: Record,
        /// The token of this election.
        token: LeaseToken,
        /// The end of the lease.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// Lengthens our own lease. Condition: half-open, ours, and shorter.
    Renew {
        /// Our token.
        token: LeaseToken,
        /// The new end of the lease.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
        /// Sets `success_count` to 0, as another probe starts.
        starts_probe: bool,
    },
    /// A good probe that was not the last. Condition: half-open, ours, with an
    /// unchanged lease.
    HandOver {
        /// Our token.
        token: LeaseToken,
        /// The end of the lease that was seen.
        known_lease: Field<i64>,
        /// Good probes so far.
        success_count: u64,
        /// The time from which other processes may probe.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// A probe without a verdict; ends the token. Condition as for a hand over.
    GiveBack {
        /// Our token.
        token: LeaseToken,
        /// The end of the lease that was seen.
        known_lease: Field<i64>,
        /// Good probes before this one.
        success_count: u64,
        /// A time that is past on every clock within the tolerated skew.
        lease_until: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// Half-open to closed. Condition: half-open and ours.
    Close {
        /// Our token.
        token: LeaseToken,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// Half-open to open, after a failed probe. Condition: half-open and ours.
    Reopen {
        /// Our token.
        token: LeaseToken,
        /// The time of the new opening.
        opened_at: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
        /// How long it lasts.
        hints: Hints,
    },
    /// Any state to open, by an operator. Condition: no record if none was seen,
    /// else an unchanged record, which may have got `released` or a hint since.
    Hold {
        /// The record that was seen.
        seen: Option<Record>,
        /// Until when, by whom and why.
        terms: HoldTerms,
        /// The end of the hold less the recovery timeout.
        opened_at: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
        /// What the outage began with.
        hints: Hints,
    },
    /// Any state to closed until a time, by an operator. Condition: as for a hold.
    HoldClosed {
        /// The record that was seen.
        seen: Option<Record>,
        /// Until when, by whom and why.
        terms: HoldTerms,
        /// The time at which the operator closed it, which becomes `released`.
        held_at: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
    /// Any state to closed, by an operator. Condition: as for a hold.
    Release {
        /// The record that was seen.
        seen: Record,
        /// The time at which the operator closed it.
        released_at: i64,
        /// The time from which the store may delete the record.
        expires_at: i64,
    },
}

impl Operation {
    /// Returns the record after the operation; `None` if a condition refuses it.
    ///
    /// This is the definition of an operation: a store must do the same.
    ///
    /// ```
    /// use fuseboard::store::{Hints, Operation, Record};
    /// use fuseboard::CircuitState;
    ///
    /// let (opened_at, expires_at) = (1_000, 4_630);
    /// let trip = Operation::Trip { seen: None, failure_count: 5, opened_at, expires_at, hints: Hints::NONE };
    /// let open = trip.apply(None).expect("there is no record");
    /// assert_eq!(open.state, CircuitState::Open.into());
    /// assert_eq!(trip.apply(Some(&open)), None);
    /// ```
    #[must_use]
    pub fn apply(&self, current: Option<&Record>) -> Option<Record> {
        if !self.permits(current) {
            return None;
        }
        let mut record = current.cloned().unwrap_or_default();
        for change in self.changes() {
            change.apply_to(&mut record);
        }
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
            Self::HoldClosed { .. } => "hold closed",
            Self::Release { .. } => "release",
        }
    }

    /// Returns what must hold of the record for the operation to be applied: all
    /// of these conditions.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        match self {
            Self::Trip { seen: None, .. }
            | Self::ElectAbsent { .. }
            | Self::Hold { seen: None, .. }
            | Self::HoldClosed { seen: None, .. } => vec![Condition::NoRecord],
            // Two writes of one second may have the same expiry: a circuit that was closed and
            // then held closed.
            Self::Trip { seen: Some(seen), .. } => unchanged(seen, &[State, ExpiresAt, HoldUntil]),
            Self::Elect { seen, .. } => {
                let opening = unchanged(seen, &[OpenedAt, Owner]);
                // A longer hold of a process with a longer recovery timeout has the same stamp.
                let hold = if seen.is_held() { unchanged(seen, &[HoldUntil]) } else { Vec::new() };
                [vec![in_state(CircuitState::Open)], opening, hold].concat()
            }
            Self::TakeOver { seen, .. } => {
                let lease = unchanged(seen, &[Owner, LeaseUntil]);
                [vec![in_state(CircuitState::HalfOpen)], lease].concat()
            }
            Self::Renew { token, lease_until, .. } => {
                [leased_to(token), vec![Condition::Below(LeaseUntil, *lease_until)]].concat()
            }
            Self::HandOver { token, known_lease, .. }
            | Self::GiveBack { token, known_lease, .. } => {
                let lease = Condition::Unchanged(LeaseUntil, untyped(known_lease));
                [leased_to(token), vec![lease]].concat()
            }
            Self::Close { token, .. } | Self::Reopen { token, .. } => leased_to(token),
            Self::Hold { seen: Some(seen), .. }
            | Self::HoldClosed { seen: Some(seen), .. }
            | Self::Release { seen, .. } => all_unchanged(seen),
        }
    }

    /// Returns what the operation does to the record. It names each attribute at
    /// most once; an attribute that it does not name stays as it is.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        match self {
            Self::Trip { seen, failure_count, opened_at, expires_at, hints } => {
                let opened = become_open(*failure_count, *opened_at, *expires_at, None);
                let seen = seen.as_ref();
                let rest = [forget(Released, seen), hints.of_a_trip(seen), hints.of_outage(seen)];
                [opened, rest.concat(), forget_hold(seen)].concat()
            }
            // Without `open_until`: an election removes it, and no token is without one. The
            // outage goes on, so that what it began with stays.
            Self::Reopen { opened_at, expires_at, hints, .. } => {
                [become_open(0, *opened_at, *expires_at, None), hints.of_length(None)].concat()
            }
            Self::Hold { seen, terms, opened_at, expires_at, hints } => {
                let opened = become_open(0, *opened_at, *expires_at, Some(&terms.owner()));
                let seen = seen.as_ref();
                let forgotten = [forget(Released, seen), forget_length(seen)].concat();
                let held = terms.over(HoldKind::Open, seen);
                [opened, held, hints.of_outage(seen), forgotten].concat()
            }
            Self::HoldClosed { seen, terms, held_at, expires_at } => {
                let (closed, seen) = (become_closed(*expires_at), seen.as_ref());
                let held = terms.over(HoldKind::Closed, seen);
                [closed, vec![set(Released, held_at)], held, forget_length(seen)].concat()
            }
            Self::Elect { seen, token, lease_until, expires_at } => [
                vec![set(State, &CircuitState::HalfOpen)],
                become_owner(token, *lease_until, *expires_at),
                forget(Released, Some(seen)),
                Hints::NONE.of_length(Some(seen)),
                forget_hold(Some(seen)),
            ]
            .concat(),
            Self::ElectAbsent { token, opened_at, lease_until, expires_at, hints } => [
                vec![set(State, &CircuitState::HalfOpen), set(OpenedAt, opened_at)],
                become_owner(token, *lease_until, *expires_at),
                hints.of_outage(None),
            ]
            .concat(),
            Self::TakeOver { seen, token, lease_until, expires_at } => {
                let owned = become_owner(token, *lease_until, *expires_at);
                let forgotten = [forget(Released, Some(seen)), forget_hold(Some(seen))].concat();
                [owned, Hints::NONE.of_length(Some(seen)), forgotten].concat()
            }
            Self::Renew { lease_until, expires_at, starts_probe, .. } => {
                let mut changes = vec![set(LeaseUntil, lease_until), set(ExpiresAt, expires_at)];
                if *starts_probe {
                    changes.push(set(SuccessCount, &0_u64));
                }
                changes
            }
            Self::HandOver { success_count, lease_until, expires_at, .. }
            | Self::GiveBack { success_count, lease_until, expires_at, .. } => vec![
                set(SuccessCount, success_count),
                set(LeaseUntil, lease_until),
                set(ExpiresAt, expires_at),
            ],
            Self::Close { expires_at, .. } => become_closed(*expires_at),
            Self::Release { seen, released_at, expires_at } => {
                let ended = [forget_length(Some(seen)), end_hold(seen, *released_at)].concat();
                [become_closed(*expires_at), vec![set(Released, released_at)], ended].concat()
            }
        }
    }

    /// Returns `true` for operations that may be delayed while a process has many to
    /// send. All others keep or end a lease, for which other processes wait, or are an
    /// operator's.
    pub(crate) const fn can_wait(&self) -> bool {
        match self {
            Self::Trip { .. }
            | Self::Elect { .. }
            | Self::ElectAbsent { .. }
            | Self::TakeOver { .. } => true,
            Self::Renew { .. }
            | Self::HandOver { .. }
            | Self::GiveBack { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::Hold { .. }
            | Self::HoldClosed { .. }
            | Self::Release { .. } => false,
        }
    }

    /// Returns `true` if all conditions hold for the record.
    pub(crate) fn permits(&self, current: Option<&Record>) -> bool {
        self.conditions().iter().all(|condition| condition.holds_for(current))
    }
}

fn become_open(
    failure_count: u64,
    opened_at: i64,
    expires_at: i64,
    owner: Option<&Arc<str>>,
) -> Vec<Change> {
    vec![
        set(State, &CircuitState::Open),
        set(FailureCount, &failure_count),
        set(OpenedAt, &opened_at),
        set(ExpiresAt, &expires_at),
        owner.map_or(Change::Remove(Owner), |owner| set(Owner, owner)),
        Change::Remove(LeaseUntil),
        Change::Remove(SuccessCount),
    ]
}

fn become_owner(token: &LeaseToken, lease_until: i64, expires_at: i64) -> Vec<Change> {
    vec![
        set(FailureCount, &0_u64),
        set(Owner, &token.0),
        set(LeaseUntil, &lease_until),
        set(SuccessCount, &0_u64),
        set(ExpiresAt, &expires_at),
    ]
}

fn become_closed(expires_at: i64) -> Vec<Change> {
    vec![
        set(State, &CircuitState::Closed),
        set(FailureCount, &0_u64),
        set(ExpiresAt, &expires_at),
        Change::Remove(OpenedAt),
        Change::Remove(Owner),
        Change::Remove(LeaseUntil),
        Change::Remove(SuccessCount),
        Change::Remove(DownSince),
        Change::Remove(Cause),
    ]
}

fn in_state(state: CircuitState) -> Condition {
    Condition::Unchanged(State, Field::Valid(state.to_value()))
}

fn leased_to(token: &LeaseToken) -> Vec<Condition> {
    let owner = untyped(&token.as_owner());
    vec![in_state(CircuitState::HalfOpen), Condition::Unchanged(Owner, owner)]
}

fn unchanged(seen: &Record, attributes: &[Attribute]) -> Vec<Condition> {
    let lacks_state = attributes.contains(&State) && seen.state == Field::Absent;
    let exists = lacks_state.then_some(Condition::AnyRecord);
    let each = attributes.iter().map(|name| Condition::Unchanged(*name, seen.get(*name)));
    exists.into_iter().chain(each).collect()
}

/// Requires that the record still has all that was seen, but for the hints. It may have got
/// `released` since: see [`forget`]. A hold that it got has a kind or
/// an end, which are always named.
fn all_unchanged(seen: &Record) -> Vec<Condition> {
    let may_have_got = |name: &Attribute| *name == Released || DETAILS.contains(name);
    let mut attributes = Attribute::ALL.to_vec();
    attributes.retain(|name| !matches!(name, FailedProbes | OpenUntil | DownSince | Cause));
    attributes.retain(|name| !may_have_got(name) || seen.get(*name) != Field::Absent);
    unchanged(seen, &attributes)
}

#[cfg(test)]
mod tests;
