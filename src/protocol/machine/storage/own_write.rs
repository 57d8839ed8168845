//! Recognises an earlier write of this process in the record that refused its repetition.

use std::sync::Arc;

use crate::{
    protocol::record::{Field, HoldTerms, Operation, Record},
    state::CircuitState,
};

/// Returns `true` if an earlier attempt of the same write, whose response was lost, made the
/// record that refused this one. Not recognised, a won election would leave the circuit
/// half-open until its lease has ended, with no process to probe.
pub(super) fn is_own_earlier_write(operation: &Operation, record: &Record) -> bool {
    match operation {
        Operation::Elect { token, .. }
        | Operation::ElectAbsent { token, .. }
        | Operation::TakeOver { token, .. } => record.is_leased_to(token),
        Operation::Renew { token, lease_until, .. } => {
            record.is_leased_to(token) && record.lease_until == Field::Valid(*lease_until)
        }
        Operation::HandOver { token, success_count, lease_until, .. }
        | Operation::GiveBack { token, success_count, lease_until, .. } => {
            record.is_leased_to(token)
                && record.lease_until == Field::Valid(*lease_until)
                && record.success_count == Field::Valid(*success_count)
        }
        // Without `is_released` the release of an operator in the same second would be
        // announced twice: as a closing of this process, and as the operator's.
        Operation::Close { expires_at, .. } => {
            record.state == Field::Valid(CircuitState::Closed)
                && record.expires_at == Field::Valid(*expires_at)
                && !record.is_released()
        }
        Operation::Hold { terms, opened_at, expires_at, .. } => {
            record.is_held()
                && record.owner == Field::Valid(terms.owner())
                && record.opened_at == Field::Valid(*opened_at)
                && record.hold_until == Field::Valid(terms.until)
                && is_by(record, terms)
                && record.expires_at == Field::Valid(*expires_at)
        }
        Operation::HoldClosed { terms, held_at, expires_at, .. } => {
            record.held_closed_until() == Some(terms.until)
                && record.hold_reason == Field::Valid(Arc::clone(&terms.reason))
                && is_by(record, terms)
                && record.expires_at == Field::Valid(*expires_at)
                && record.released == Field::Valid(*held_at)
        }
        Operation::Release { released_at, expires_at, .. } => {
            record.state == Field::Valid(CircuitState::Closed)
                && record.expires_at == Field::Valid(*expires_at)
                && record.released == Field::Valid(*released_at)
                && record.hold == Field::Absent
        }
        // Two processes may trip in the same second and write equal records.
        Operation::Trip { .. } | Operation::Reopen { .. } => false,
    }
}

/// Returns `true` if the record is held by whom these terms name. Two operators may give one
/// reason, and one end, in the same second.
fn is_by(record: &Record, terms: &HoldTerms) -> bool {
    record.hold_by == terms.by.clone().map_or(Field::Absent, Field::Valid)
}
