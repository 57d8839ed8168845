//! A write that changes a circuit's state, as both ends of the wire name it.

use fuseboard::store::Operation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The state changes that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Trip,
    Elect,
    TakeOver,
    Close,
    Reopen,
}

/// What tells one such write of a registry and circuit from every other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) kind: Kind,
    /// The token under which it is made; a trip has none.
    pub(crate) token: Option<String>,
    /// When the circuit opened: what an opening writes, what an election has seen.
    pub(crate) opened_at: Option<i64>,
}

impl Write {
    /// What a registry asks of its store; `None` if that changes no state.
    pub(crate) fn asked(operation: &Operation) -> Option<Self> {
        let (kind, token, opened_at) = match operation {
            Operation::Trip { opened_at, .. } => (Kind::Trip, None, Some(*opened_at)),
            Operation::Elect { token, seen, .. } => {
                (Kind::Elect, Some(token), seen.opened_at.valid().copied())
            }
            Operation::TakeOver { token, .. } => (Kind::TakeOver, Some(token), None),
            Operation::Close { token, .. } => (Kind::Close, Some(token), None),
            Operation::Reopen { token, opened_at, .. } => {
                (Kind::Reopen, Some(token), Some(*opened_at))
            }
            // The lease moves, or an operator orders, which nobody does here.
            Operation::Renew { .. }
            | Operation::HandOver { .. }
            | Operation::GiveBack { .. }
            | Operation::Hold { .. }
            | Operation::Release { .. }
            | Operation::ElectAbsent { .. }
            | _ => return None,
        };
        Some(Self { kind, token: token.map(|token| token.as_str().to_owned()), opened_at })
    }

    /// What stands in the body of a request, read without the crate: the circuit
    /// and what becomes of it.
    pub(crate) fn sent(body: &[u8]) -> Option<(String, Self)> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let circuit = body.pointer("/Key/id/S")?.as_str()?.to_owned();
        let values = body.get("ExpressionAttributeValues")?;
        let text = |name: &str| values.get(name)?.get("S")?.as_str();
        let number = |name: &str| values.get(name)?.get("N")?.as_str()?.parse().ok();
        let seen = || text(":seen_half_open_owner");
        let (kind, token, opened_at) = match (text(":state"), text(":half_open_owner")) {
            (Some("CLOSED"), _) => (Kind::Close, seen(), None),
            (Some("OPEN"), _) if text(":seen_state") == Some("HALF_OPEN") => {
                (Kind::Reopen, seen(), number(":opened_at"))
            }
            (Some("OPEN"), _) => (Kind::Trip, None, number(":opened_at")),
            (Some("HALF_OPEN"), token) => (Kind::Elect, token, number(":seen_opened_at")),
            (None, token @ Some(_)) => (Kind::TakeOver, token, None),
            (Some(_) | None, None) | (Some(_), Some(_)) => return None,
        };
        Some((circuit, Self { kind, token: token.map(str::to_owned), opened_at }))
    }
}
