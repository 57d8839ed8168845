//! Operations as update and condition expressions.
//!
//! Says to DynamoDB exactly what [`Operation::apply`] defines. A placeholder is the
//! default name of its attribute, after `#` for the name in the item, after `:` for
//! the value that is written, and after `:seen_` for the value that was seen.

use std::collections::HashMap;

use super::item::{AttributeNames, ForeignValue, Item, encode, seen_value};
use crate::protocol::record::{Attribute, Change, Condition, Operation, Value};

/// The placeholder of the key's name.
const KEY: &str = "#key";

/// The expressions of one conditional update.
#[derive(Debug, PartialEq)]
pub(super) struct Expressions {
    pub(super) update: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

/// Writes an operation as expressions.
///
/// One difference to [`Operation::apply`] remains: DynamoDB compares numbers of any
/// precision, so a renewal is applied over a fractional lease that another program
/// wrote over ours. The token still has to be ours, and the write replaces the lease.
///
/// # Errors
///
/// [`ForeignValue`]: the operation names a value that another store read.
pub(super) fn expressions(
    names: &AttributeNames,
    operation: &Operation,
) -> Result<Expressions, ForeignValue> {
    let mut builder = ExpressionBuilder {
        attributes: names,
        set: Vec::new(),
        remove: Vec::new(),
        conditions: Vec::new(),
        names: HashMap::new(),
        values: HashMap::new(),
    };
    for change in operation.changes() {
        builder.change(change);
    }
    for condition in operation.conditions() {
        builder.require(condition)?;
    }
    Ok(builder.finish())
}

struct ExpressionBuilder<'a> {
    attributes: &'a AttributeNames,
    set: Vec<String>,
    remove: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl ExpressionBuilder<'_> {
    fn change(&mut self, change: Change) {
        match change {
            Change::Set(attribute, value) => {
                let name = self.name(attribute);
                let value = self.value(format!(":{attribute}"), &value);
                self.set.push(format!("{name} = {value}"));
            }
            Change::Remove(attribute) => {
                let name = self.name(attribute);
                self.remove.push(name);
            }
        }
    }

    fn require(&mut self, condition: Condition) -> Result<(), ForeignValue> {
        let condition = match condition {
            Condition::NoRecord => format!("attribute_not_exists({})", self.key()),
            Condition::AnyRecord => format!("attribute_exists({})", self.key()),
            Condition::Unchanged(attribute, seen) => {
                let name = self.name(attribute);
                match seen_value(seen)? {
                    None => format!("attribute_not_exists({name})"),
                    Some(value) => {
                        let placeholder = format!(":seen_{attribute}");
                        let condition = format!("{name} = {placeholder}");
                        self.values.insert(placeholder, value);
                        condition
                    }
                }
            }
            Condition::Below(attribute, limit) => {
                let name = self.name(attribute);
                // The value that is set: both share its placeholder.
                let limit = self.value(format!(":{attribute}"), &Value::Number(limit.into()));
                format!("{name} < {limit}")
            }
        };
        self.conditions.push(condition);
        Ok(())
    }

    fn value(&mut self, placeholder: String, value: &Value) -> String {
        self.values.insert(placeholder.clone(), encode(value));
        placeholder
    }

    fn name(&mut self, attribute: Attribute) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), self.attributes.name_of(attribute).to_owned());
        placeholder
    }

    fn key(&mut self) -> &'static str {
        self.names.insert(KEY.to_owned(), self.attributes.key.clone());
        KEY
    }

    fn finish(self) -> Expressions {
        let mut update = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            update.push_str(" REMOVE ");
            update.push_str(&self.remove.join(", "));
        }
        Expressions {
            update,
            condition: self.conditions.join(" AND "),
            names: self.names,
            values: self.values,
        }
    }
}
