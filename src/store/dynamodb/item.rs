//! The shape of the shared item: attribute names, and decoding into a record.
//!
//! Together with [`expression`](super::expression) the only place that knows
//! attribute names. Nothing here fails: an attribute that cannot be read is
//! kept as text that leads back to what was seen.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;

use super::text;
use crate::{
    error::ConfigError,
    name::{CircuitName, MAX_NAME_BYTES},
    record::{Field, Malformed, Record},
    state::CircuitState,
};

/// An item as the SDK shows it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The longest sort key, in bytes ("Constraints in Amazon DynamoDB", AWS
/// documentation). A partition key may be as long as a name.
const MAX_SORT_KEY_BYTES: usize = 1_024;

/// A circuit whose name is too long for the key that it would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name has {bytes} bytes, and DynamoDB limits a sort key, here {attribute:?}, to {MAX_SORT_KEY_BYTES}: shorten it"
)]
pub(super) struct LongName {
    bytes: usize,
    attribute: String,
}

/// The attributes that a record consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    State,
    FailureCount,
    OpenedAt,
    Owner,
    LeaseUntil,
    ExpiresAt,
    SuccessCount,
    Released,
}

/// The names of all attributes, and how a circuit's key is made of its name.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) key: String,
    pub(super) sort_key: Option<String>,
    pub(super) static_pk_value: Option<String>,
    pub(super) state: String,
    pub(super) failure_count: String,
    pub(super) opened_at: String,
    pub(super) owner: String,
    pub(super) lease_until: String,
    pub(super) expires_at: String,
    pub(super) success_count: String,
    pub(super) released: String,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            key: "id".to_owned(),
            sort_key: None,
            static_pk_value: None,
            state: "state".to_owned(),
            failure_count: "failure_count".to_owned(),
            opened_at: "opened_at".to_owned(),
            owner: "half_open_owner".to_owned(),
            lease_until: "probe_lease_expiry".to_owned(),
            expires_at: "expiration".to_owned(),
            success_count: "success_count".to_owned(),
            released: "released".to_owned(),
        }
    }
}

impl Layout {
    /// Refuses names under which two attributes, or an attribute and a key,
    /// would be one.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fields = [
            ("key_attr", Some(&self.key)),
            ("sort_key_attr", self.sort_key.as_ref()),
            ("state_attr", Some(&self.state)),
            ("failure_count_attr", Some(&self.failure_count)),
            ("opened_at_attr", Some(&self.opened_at)),
            ("half_open_owner_attr", Some(&self.owner)),
            ("probe_lease_expiry_attr", Some(&self.lease_until)),
            ("expiry_attr", Some(&self.expires_at)),
            ("success_count_attr", Some(&self.success_count)),
            ("released_attr", Some(&self.released)),
        ];
        let mut used: HashMap<&str, &'static str> = HashMap::new();
        for (field, name) in fields {
            let Some(name) = name else { continue };
            if name.is_empty() {
                return Err(ConfigError::new(field, name, "must not be empty"));
            }
            match used.insert(name, field) {
                Some("key_attr") if field == "sort_key_attr" => {
                    let requirement = "must be another attribute than key_attr";
                    return Err(ConfigError::new(field, name, requirement));
                }
                Some(_) => {
                    let requirement = "must be another attribute than all the others";
                    return Err(ConfigError::new(field, name, requirement));
                }
                None => {}
            }
        }
        if self.static_pk_value.as_deref() == Some("") {
            return Err(ConfigError::new("static_pk_value", "", "must not be empty"));
        }
        let bytes = self.static_pk_value.as_ref().map_or(0, String::len);
        if bytes > MAX_NAME_BYTES {
            let got = format_args!("{bytes} bytes");
            let requirement = "must have at most 2,048 bytes, as DynamoDB limits a partition key";
            return Err(ConfigError::new("static_pk_value", got, requirement));
        }
        Ok(())
    }

    /// The key of a circuit's item.
    pub(super) fn key_of(&self, circuit: &CircuitName) -> Result<Item, LongName> {
        let bytes = circuit.as_str().len();
        let name = AttributeValue::S(circuit.as_str().to_owned());
        match &self.sort_key {
            None => Ok(HashMap::from([(self.key.clone(), name)])),
            Some(sort_key) if bytes > MAX_SORT_KEY_BYTES => {
                Err(LongName { bytes, attribute: sort_key.clone() })
            }
            Some(sort_key) => {
                let partition = self.static_pk_value.clone().unwrap_or_default();
                Ok(HashMap::from([
                    (self.key.clone(), AttributeValue::S(partition)),
                    (sort_key.clone(), name),
                ]))
            }
        }
    }

    /// The name of an attribute in the item.
    pub(super) fn name_of(&self, attribute: Attribute) -> &str {
        match attribute {
            Attribute::State => &self.state,
            Attribute::FailureCount => &self.failure_count,
            Attribute::OpenedAt => &self.opened_at,
            Attribute::Owner => &self.owner,
            Attribute::LeaseUntil => &self.lease_until,
            Attribute::ExpiresAt => &self.expires_at,
            Attribute::SuccessCount => &self.success_count,
            Attribute::Released => &self.released,
        }
    }

    /// Reads an item, whatever is in it.
    pub(super) fn decode(&self, item: &Item) -> Record {
        Record {
            state: field(item, &self.state),
            failure_count: field(item, &self.failure_count),
            opened_at: field(item, &self.opened_at),
            owner: field(item, &self.owner),
            lease_until: field(item, &self.lease_until),
            expires_at: field(item, &self.expires_at),
            success_count: field(item, &self.success_count),
            released: field(item, &self.released),
        }
    }
}

/// A kind of value that an attribute of the record has.
pub(super) trait Wire: Sized {
    fn to_wire(&self) -> AttributeValue;
    fn from_wire(value: &AttributeValue) -> Option<Self>;
}

impl Wire for CircuitState {
    fn to_wire(&self) -> AttributeValue {
        AttributeValue::S(self.as_str().to_owned())
    }

    fn from_wire(value: &AttributeValue) -> Option<Self> {
        Self::parse(value.as_s().ok()?)
    }
}

impl Wire for Arc<str> {
    fn to_wire(&self) -> AttributeValue {
        AttributeValue::S(self.as_ref().to_owned())
    }

    fn from_wire(value: &AttributeValue) -> Option<Self> {
        Some(Self::from(value.as_s().ok()?.as_str()))
    }
}

/// DynamoDB shows whole numbers as plain digits, so anything else is not one;
/// it compares numbers by value, so the digits need not be the ones written.
impl Wire for u64 {
    fn to_wire(&self) -> AttributeValue {
        AttributeValue::N(self.to_string())
    }

    fn from_wire(value: &AttributeValue) -> Option<Self> {
        value.as_n().ok()?.parse().ok()
    }
}

impl Wire for i64 {
    fn to_wire(&self) -> AttributeValue {
        AttributeValue::N(self.to_string())
    }

    fn from_wire(value: &AttributeValue) -> Option<Self> {
        value.as_n().ok()?.parse().ok()
    }
}

fn field<T: Wire>(item: &Item, name: &str) -> Field<T> {
    let Some(value) = item.get(name) else {
        return Field::Absent;
    };
    match T::from_wire(value) {
        Some(read) => Field::Valid(read),
        None => Field::Malformed(Malformed::new(text::encode(value))),
    }
}

/// A malformed value whose text this store did not write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignText(pub(super) Malformed);

/// The value that a field was read from; `None` if there was none.
pub(super) fn seen_value<T: Wire>(field: &Field<T>) -> Result<Option<AttributeValue>, ForeignText> {
    match field {
        Field::Absent => Ok(None),
        Field::Valid(value) => Ok(Some(value.to_wire())),
        Field::Malformed(malformed) => match text::decode(malformed.as_str()) {
            Some(value) => Ok(Some(value)),
            None => Err(ForeignText(malformed.clone())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }

    fn read<T: Wire>(value: AttributeValue) -> Field<T> {
        field(&HashMap::from([("a".to_owned(), value)]), "a")
    }

    #[test]
    fn a_number_that_is_not_a_whole_one_in_range_is_malformed_and_kept() {
        for text in ["12.5", "-1", "18446744073709551616", "1E+2", ""] {
            let found = read::<u64>(number(text));
            assert!(found.is_malformed(), "{text}");
            assert_eq!(seen_value(&found), Ok(Some(number(text))));
        }
        assert_eq!(read::<u64>(number("18446744073709551615")), Field::Valid(u64::MAX));
        assert_eq!(read::<i64>(number("-1")), Field::Valid(-1));
    }

    #[test]
    fn any_text_is_an_owner_but_only_three_are_a_state() {
        assert_eq!(read::<Arc<str>>(AttributeValue::S(String::new())), Field::Valid(Arc::from("")));
        assert!(read::<Arc<str>>(AttributeValue::Null(true)).is_malformed());
        assert!(read::<CircuitState>(AttributeValue::S("open".to_owned())).is_malformed());
        let open = read::<CircuitState>(AttributeValue::S("OPEN".to_owned()));
        assert_eq!(open, Field::Valid(CircuitState::Open));
    }

    #[test]
    fn text_of_another_store_leads_to_no_value() {
        let foreign = Malformed::new("blue");
        assert_eq!(
            seen_value::<i64>(&Field::Malformed(foreign.clone())),
            Err(ForeignText(foreign))
        );
    }
}
