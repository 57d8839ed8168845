//! The item, and the writes on it, as the wire shows them.

use std::time::Duration;

use serde_json::Value;

use crate::support::engine::{History, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    Open,
    HalfOpen,
}

/// One item, or what a request says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) state: Option<State>,
    pub(crate) opened_at: Option<i64>,
    pub(crate) owner: Option<String>,
    pub(crate) lease: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) good: Option<i64>,
    pub(crate) failed_probes: Option<i64>,
    pub(crate) open_until: Option<i64>,
}

impl Item {
    /// Reads values by the names of the attributes, with a prefix.
    fn read(values: &Value, prefix: &str) -> Self {
        let of = |name: &str| values.get(format!("{prefix}{name}"));
        let text = |name| of(name)?.get("S")?.as_str().map(str::to_owned);
        let number = |name| of(name)?.get("N")?.as_str()?.parse().ok();
        Self {
            state: text("state").and_then(|state| match state.as_str() {
                "CLOSED" => Some(State::Closed),
                "OPEN" => Some(State::Open),
                "HALF_OPEN" => Some(State::HalfOpen),
                _ => None,
            }),
            opened_at: number("opened_at"),
            owner: text("half_open_owner"),
            lease: number("probe_lease_expiry"),
            expires_at: number("expiration"),
            good: number("success_count"),
            failed_probes: number("failed_probes"),
            open_until: number("open_until"),
        }
    }
}

/// What a request sets.
pub(crate) fn set_by(body: &Value) -> Item {
    Item::read(&body["ExpressionAttributeValues"], ":")
}

/// What a write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Trip,
    Elect,
    TakeOver,
    Renew,
    /// A hand over or a give back.
    Rest,
    Close,
    Reopen,
    Hold,
    Release,
    /// The item was deleted.
    Delete,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 10;

/// One applied write, understood.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) client: String,
    pub(crate) kind: Kind,
    /// What its condition names.
    pub(crate) seen: Item,
    pub(crate) before: Option<Item>,
    pub(crate) after: Option<Item>,
}

impl Step {
    fn new(write: &Write) -> Self {
        let values = &write.body["ExpressionAttributeValues"];
        let seen = Item::read(values, ":seen_");
        let item = |item: &Option<Value>| item.as_ref().map(|item| Item::read(item, ""));
        Self {
            at: write.at,
            client: write.client.clone(),
            kind: kind(&write.client, &seen, &set_by(&write.body)),
            seen,
            before: item(&write.before),
            after: item(&write.after),
        }
    }

    pub(crate) fn state_before(&self) -> Option<State> {
        self.before.as_ref().and_then(|item| item.state)
    }

    pub(crate) fn owner_before(&self) -> Option<&str> {
        self.before.as_ref().and_then(|item| item.owner.as_deref())
    }

    pub(crate) fn state_after(&self) -> Option<State> {
        self.after.as_ref().and_then(|item| item.state)
    }
}

/// By what a request sets, and only where that is not enough by its condition.
fn kind(client: &str, seen: &Item, set: &Item) -> Kind {
    let operator = client == "operator";
    match (set.state, &set.owner, set.lease) {
        _ if client.is_empty() => Kind::Delete,
        (Some(State::Closed), _, _) if operator => Kind::Release,
        (Some(State::Closed), _, _) => Kind::Close,
        (Some(State::Open), _, _) if operator => Kind::Hold,
        (Some(State::Open), _, _) if seen.state == Some(State::HalfOpen) => Kind::Reopen,
        (Some(State::Open), _, _) => Kind::Trip,
        (Some(State::HalfOpen), _, _) => Kind::Elect,
        (None, Some(_), _) => Kind::TakeOver,
        (None, None, _) if seen.lease.is_some() => Kind::Rest,
        (None, None, _) => Kind::Renew,
    }
}

/// The applied writes of a history, in order.
pub(crate) fn steps(history: &History) -> Vec<Step> {
    history.writes.iter().map(Step::new).collect()
}
