//! Operations as update and condition expressions.
//!
//! Says to DynamoDB exactly what [`Operation::apply`] defines. Values that are
//! written stand as `:attribute`, values that were seen as `:seen_attribute`.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Attribute, ForeignText, Item, Layout, Wire, seen_value};
use crate::{
    record::{Field, LeaseToken, Operation, Record},
    state::CircuitState,
};

/// How the key stands in a condition.
const KEY: &str = "#key";

/// The expressions of one conditional update.
#[derive(Debug, PartialEq)]
pub(super) struct Update {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

/// Writes an operation as expressions.
///
/// One difference to [`Operation::apply`] remains: a renewal compares leases in
/// DynamoDB's arithmetic, so it is applied over a fractional lease that another
/// program wrote over ours. The token still has to be ours, and the write heals
/// the lease.
pub(super) fn update(layout: &Layout, operation: &Operation) -> Result<Update, ForeignText> {
    let mut draft = Draft {
        layout,
        set: Vec::new(),
        remove: Vec::new(),
        conditions: Vec::new(),
        names: HashMap::new(),
        values: HashMap::new(),
    };
    draft.write(operation);
    draft.require(operation)?;
    Ok(draft.finish())
}

/// How an attribute stands in expressions, after `#`, `:` or `:seen_`. These
/// are the default names, whatever the attributes are called in the item.
const fn word(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::State => "state",
        Attribute::FailureCount => "failure_count",
        Attribute::OpenedAt => "opened_at",
        Attribute::Owner => "half_open_owner",
        Attribute::LeaseUntil => "probe_lease_expiry",
        Attribute::ExpiresAt => "expiration",
        Attribute::SuccessCount => "success_count",
        Attribute::Released => "released",
    }
}

struct Draft<'a> {
    layout: &'a Layout,
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Draft<'_> {
    /// What the operation leaves behind.
    fn write(&mut self, operation: &Operation) {
        match operation {
            Operation::Trip { seen, failure_count, opened_at, expires_at } => {
                self.become_open(*failure_count, *opened_at, *expires_at, None);
                self.forget_release(seen.as_ref());
            }
            Operation::Reopen { opened_at, expires_at, .. } => {
                self.become_open(0, *opened_at, *expires_at, None);
            }
            Operation::Hold { seen, owner, opened_at, expires_at } => {
                self.become_open(0, *opened_at, *expires_at, Some(owner));
                self.forget_release(seen.as_ref());
            }
            Operation::Elect { seen, token, lease_until, expires_at } => {
                self.set(Attribute::State, &CircuitState::HalfOpen);
                self.become_owner(token, *lease_until, *expires_at);
                self.forget_release(Some(seen));
            }
            Operation::ElectAbsent { token, opened_at, lease_until, expires_at } => {
                self.set(Attribute::State, &CircuitState::HalfOpen);
                self.set(Attribute::OpenedAt, opened_at);
                self.become_owner(token, *lease_until, *expires_at);
            }
            Operation::TakeOver { seen, token, lease_until, expires_at } => {
                self.become_owner(token, *lease_until, *expires_at);
                self.forget_release(Some(seen));
            }
            Operation::Renew { lease_until, expires_at, starts_probe, .. } => {
                self.set(Attribute::LeaseUntil, lease_until);
                self.set(Attribute::ExpiresAt, expires_at);
                if *starts_probe {
                    self.set(Attribute::SuccessCount, &0_u64);
                }
            }
            Operation::HandOver { success_count, lease_until, expires_at, .. }
            | Operation::GiveBack { success_count, lease_until, expires_at, .. } => {
                self.set(Attribute::SuccessCount, success_count);
                self.set(Attribute::LeaseUntil, lease_until);
                self.set(Attribute::ExpiresAt, expires_at);
            }
            Operation::Close { expires_at, .. } => self.become_closed(*expires_at),
            Operation::Release { released_at, expires_at, .. } => {
                self.become_closed(*expires_at);
                self.set(Attribute::Released, released_at);
            }
        }
    }

    /// What must still stand for the operation to be applied.
    fn require(&mut self, operation: &Operation) -> Result<(), ForeignText> {
        match operation {
            Operation::Trip { seen: None, .. }
            | Operation::ElectAbsent { .. }
            | Operation::Hold { seen: None, .. } => {
                let key = self.key();
                self.conditions.push(format!("attribute_not_exists({key})"));
                Ok(())
            }
            Operation::Trip { seen: Some(seen), .. } => {
                self.require_state(&seen.state)?;
                self.require_seen(Attribute::ExpiresAt, &seen.expires_at)
            }
            Operation::Elect { seen, .. } => {
                self.require_state(&CircuitState::Open.into())?;
                self.require_seen(Attribute::OpenedAt, &seen.opened_at)?;
                self.require_seen(Attribute::Owner, &seen.owner)
            }
            Operation::TakeOver { seen, .. } => {
                self.require_state(&CircuitState::HalfOpen.into())?;
                self.require_seen(Attribute::Owner, &seen.owner)?;
                self.require_seen(Attribute::LeaseUntil, &seen.lease_until)
            }
            Operation::Renew { token, .. } => {
                self.require_ours(token)?;
                let lease = word(Attribute::LeaseUntil);
                self.conditions.push(format!("#{lease} < :{lease}"));
                Ok(())
            }
            Operation::HandOver { token, known_lease, .. }
            | Operation::GiveBack { token, known_lease, .. } => {
                self.require_ours(token)?;
                self.require_seen(Attribute::LeaseUntil, known_lease)
            }
            Operation::Close { token, .. } | Operation::Reopen { token, .. } => {
                self.require_ours(token)
            }
            Operation::Hold { seen: Some(seen), .. } | Operation::Release { seen, .. } => {
                self.require_all(seen)
            }
        }
    }

    fn become_open(
        &mut self,
        failure_count: u64,
        opened_at: i64,
        expires_at: i64,
        owner: Option<&Arc<str>>,
    ) {
        self.set(Attribute::State, &CircuitState::Open);
        self.set(Attribute::FailureCount, &failure_count);
        self.set(Attribute::OpenedAt, &opened_at);
        self.set(Attribute::ExpiresAt, &expires_at);
        match owner {
            Some(owner) => self.set(Attribute::Owner, owner),
            None => self.remove(Attribute::Owner),
        }
        self.remove(Attribute::LeaseUntil);
        self.remove(Attribute::SuccessCount);
    }

    fn become_owner(&mut self, token: &LeaseToken, lease_until: i64, expires_at: i64) {
        self.set(Attribute::FailureCount, &0_u64);
        self.set(Attribute::Owner, &Arc::<str>::from(token.as_str()));
        self.set(Attribute::LeaseUntil, &lease_until);
        self.set(Attribute::SuccessCount, &0_u64);
        self.set(Attribute::ExpiresAt, &expires_at);
    }

    fn become_closed(&mut self, expires_at: i64) {
        self.set(Attribute::State, &CircuitState::Closed);
        self.set(Attribute::FailureCount, &0_u64);
        self.set(Attribute::ExpiresAt, &expires_at);
        self.remove(Attribute::OpenedAt);
        self.remove(Attribute::Owner);
        self.remove(Attribute::LeaseUntil);
        self.remove(Attribute::SuccessCount);
    }

    fn forget_release(&mut self, seen: Option<&Record>) {
        if seen.is_some_and(|seen| seen.released != Field::Absent) {
            self.remove(Attribute::Released);
        }
    }

    fn require_ours(&mut self, token: &LeaseToken) -> Result<(), ForeignText> {
        self.require_state(&CircuitState::HalfOpen.into())?;
        self.require_seen(Attribute::Owner, &token.as_owner())
    }

    fn require_all(&mut self, seen: &Record) -> Result<(), ForeignText> {
        self.require_state(&seen.state)?;
        self.require_seen(Attribute::FailureCount, &seen.failure_count)?;
        self.require_seen(Attribute::OpenedAt, &seen.opened_at)?;
        self.require_seen(Attribute::Owner, &seen.owner)?;
        self.require_seen(Attribute::LeaseUntil, &seen.lease_until)?;
        self.require_seen(Attribute::ExpiresAt, &seen.expires_at)?;
        self.require_seen(Attribute::SuccessCount, &seen.success_count)?;
        match seen.released {
            Field::Absent => Ok(()),
            Field::Valid(_) | Field::Malformed(_) => {
                self.require_seen(Attribute::Released, &seen.released)
            }
        }
    }

    /// A record without a state is still a record, which the absence of the
    /// attribute alone would not say.
    fn require_state(&mut self, seen: &Field<CircuitState>) -> Result<(), ForeignText> {
        if *seen == Field::Absent {
            let key = self.key();
            self.conditions.push(format!("attribute_exists({key})"));
        }
        self.require_seen(Attribute::State, seen)
    }

    fn require_seen<T: Wire>(
        &mut self,
        attribute: Attribute,
        seen: &Field<T>,
    ) -> Result<(), ForeignText> {
        let name = self.name(attribute);
        match seen_value(seen)? {
            None => self.conditions.push(format!("attribute_not_exists({name})")),
            Some(value) => {
                let placeholder = format!(":seen_{}", word(attribute));
                self.conditions.push(format!("{name} = {placeholder}"));
                self.values.insert(placeholder, value);
            }
        }
        Ok(())
    }

    fn set<T: Wire>(&mut self, attribute: Attribute, value: &T) {
        let name = self.name(attribute);
        let placeholder = format!(":{}", word(attribute));
        self.set.push(format!("{name} = {placeholder}"));
        self.values.insert(placeholder, value.to_wire());
    }

    fn remove(&mut self, attribute: Attribute) {
        let name = self.name(attribute);
        self.remove.push(name);
    }

    fn name(&mut self, attribute: Attribute) -> String {
        let placeholder = format!("#{}", word(attribute));
        self.names.insert(placeholder.clone(), self.layout.name_of(attribute).to_owned());
        placeholder
    }

    fn key(&mut self) -> &'static str {
        self.names.insert(KEY.to_owned(), self.layout.key.clone());
        KEY
    }

    fn finish(self) -> Update {
        let mut update = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            update.push_str(" REMOVE ");
            update.push_str(&self.remove.join(", "));
        }
        Update {
            update,
            condition: self.conditions.join(" AND "),
            names: self.names,
            values: self.values,
        }
    }
}
