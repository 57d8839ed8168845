//! The shape of the shared item: attribute names, and decoding into a record.
//!
//! Together with [`expression`](super::expression) the only module that knows
//! attribute names. Decoding never fails: an attribute that does not fit the record
//! is kept as DynamoDB showed it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    error::ConfigError,
    name::MAX_NAME_BYTES,
    protocol::record::{Attribute, Field, Malformed, Record, Value},
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

/// The names of all attributes, and how a circuit's key is made of its name.
#[derive(Clone, Debug)]
pub(super) struct AttributeNames {
    pub(super) key: String,
    pub(super) sort_key: Option<String>,
    pub(super) static_pk_value: Option<String>,
    /// The attributes that do not have their default names.
    pub(super) renamed: BTreeMap<Attribute, String>,
}

impl Default for AttributeNames {
    fn default() -> Self {
        Self {
            key: "id".to_owned(),
            sort_key: None,
            static_pk_value: None,
            renamed: BTreeMap::new(),
        }
    }
}

impl AttributeNames {
    /// Refuses names under which two attributes, or an attribute and a key,
    /// would be one.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let keys =
            [("key_attr", Some(self.key.as_str())), ("sort_key_attr", self.sort_key.as_deref())];
        let attributes =
            Attribute::ALL.map(|attribute| (setter(attribute), Some(self.name_of(attribute))));
        let mut used: HashMap<&str, &'static str> = HashMap::new();
        for (setting, name) in keys.into_iter().chain(attributes) {
            let Some(name) = name else { continue };
            if name.is_empty() {
                return Err(ConfigError::new(setting, name, "must not be empty"));
            }
            let requirement = match used.insert(name, setting) {
                None => continue,
                Some("key_attr") if setting == "sort_key_attr" => {
                    "must be another attribute than key_attr"
                }
                Some(_) => "must be another attribute than all the others",
            };
            return Err(ConfigError::new(setting, name, requirement));
        }
        let partition = self.static_pk_value.as_deref();
        if partition == Some("") {
            return Err(ConfigError::new("static_pk_value", "", "must not be empty"));
        }
        let bytes = partition.map_or(0, str::len);
        if bytes > MAX_NAME_BYTES {
            let got = format_args!("{bytes} bytes");
            let requirement = "must have at most 2,048 bytes, as DynamoDB limits a partition key";
            return Err(ConfigError::new("static_pk_value", got, requirement));
        }
        Ok(())
    }

    /// The key of a circuit's item, or of an item beside it.
    pub(super) fn key_of(&self, circuit: &str) -> Result<Item, LongName> {
        let bytes = circuit.len();
        let name = AttributeValue::S(circuit.to_owned());
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
        self.renamed.get(&attribute).map_or(attribute.name(), String::as_str)
    }

    /// Reads any item.
    pub(super) fn decode(&self, item: &Item) -> Record {
        let mut record = Record::empty();
        for attribute in Attribute::ALL {
            let value = item.get(self.name_of(attribute));
            record.set(attribute, value.map_or(Field::Absent, decode));
        }
        record
    }
}

/// The setting that names an attribute.
const fn setter(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::State => "state_attr",
        Attribute::FailureCount => "failure_count_attr",
        Attribute::OpenedAt => "opened_at_attr",
        Attribute::Owner => "half_open_owner_attr",
        Attribute::LeaseUntil => "probe_lease_expiry_attr",
        Attribute::ExpiresAt => "expiry_attr",
        Attribute::SuccessCount => "success_count_attr",
        Attribute::Released => "released_attr",
        Attribute::FailedProbes => "failed_probes_attr",
        Attribute::OpenUntil => "open_until_attr",
        Attribute::Hold => "hold_attr",
        Attribute::HoldUntil => "hold_until_attr",
        Attribute::HoldBy => "hold_by_attr",
        Attribute::HoldReason => "hold_reason_attr",
        Attribute::DownSince => "down_since_attr",
        Attribute::Cause => "cause_attr",
    }
}

/// DynamoDB shows whole numbers as plain digits, so that anything else is not one;
/// it compares numbers by value, so that a condition may name them by other digits.
fn decode(value: &AttributeValue) -> Field<Value> {
    let text = value.as_s().ok().map(|text| Value::Text(text.as_str().into()));
    let known = text.or_else(|| Some(Value::Number(value.as_n().ok()?.parse().ok()?)));
    known.map_or_else(|| Field::Malformed(Malformed::new(sorted(value))), Field::Valid)
}

pub(super) fn encode(value: &Value) -> AttributeValue {
    match value {
        Value::Text(text) => AttributeValue::S(text.as_ref().to_owned()),
        Value::Number(number) => AttributeValue::N(number.to_string()),
    }
}

/// A value that this store did not read, or of a type that its SDK does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForeignValue(pub(super) Malformed);

/// The value that a field was read from; `None` if the item did not have it.
pub(super) fn seen_value(seen: Field<Value>) -> Result<Option<AttributeValue>, ForeignValue> {
    match seen {
        Field::Absent => Ok(None),
        Field::Valid(value) => Ok(Some(encode(&value))),
        Field::Malformed(malformed) => match malformed.downcast_ref::<AttributeValue>() {
            Some(value) if !value.is_unknown() => Ok(Some(value.clone())),
            Some(_) | None => Err(ForeignValue(malformed)),
        },
    }
}

/// The value with its sets in order. DynamoDB may show the members of a set in any
/// order, and a record that was read twice must be equal to itself.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "AttributeValue is not exhaustive; all other types that are known have an order"
)]
fn sorted(value: &AttributeValue) -> AttributeValue {
    let mut value = value.clone();
    match &mut value {
        AttributeValue::Ss(members) | AttributeValue::Ns(members) => members.sort_unstable(),
        AttributeValue::Bs(members) => {
            members.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        }
        AttributeValue::L(values) => values.iter_mut().for_each(|value| *value = sorted(value)),
        AttributeValue::M(values) => values.values_mut().for_each(|value| *value = sorted(value)),
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;
    use crate::state::CircuitState;

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }

    fn read(attribute: Attribute, value: AttributeValue) -> Record {
        let names = AttributeNames::default();
        names.decode(&HashMap::from([(attribute.name().to_owned(), value)]))
    }

    #[test]
    fn a_number_that_is_not_a_whole_one_in_range_is_malformed_and_kept() {
        for text in ["12.5", "-1", "18446744073709551616", "1E+2", ""] {
            let record = read(Attribute::FailureCount, number(text));
            assert!(record.failure_count.is_malformed(), "{text}");
            let seen = seen_value(record.get(Attribute::FailureCount));
            assert_eq!(seen, Ok(Some(number(text))));
        }
        let most = read(Attribute::FailureCount, number("18446744073709551615"));
        assert_eq!(most.failure_count, Field::Valid(u64::MAX));
        assert_eq!(read(Attribute::OpenedAt, number("-1")).opened_at, Field::Valid(-1));
    }

    #[test]
    fn any_text_is_an_owner_but_only_three_are_a_state() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let owner = |value| read(Attribute::Owner, value).owner;
        assert_eq!(owner(text("")), Field::Valid("".into()));
        assert!(owner(AttributeValue::Null(true)).is_malformed());
        let state = |value| read(Attribute::State, value).state;
        assert!(state(text("open")).is_malformed());
        assert_eq!(state(text("OPEN")), Field::Valid(CircuitState::Open));
    }

    #[test]
    fn a_value_is_the_same_in_whatever_order_its_sets_are_shown() {
        let texts = |members: [&str; 2]| AttributeValue::Ss(members.map(str::to_owned).to_vec());
        let blobs =
            |members: [u8; 2]| AttributeValue::Bs(members.map(|byte| Blob::new([byte])).to_vec());
        let nested = |texts, blobs| {
            AttributeValue::L(vec![texts, AttributeValue::M([("a".to_owned(), blobs)].into())])
        };
        let one = read(Attribute::State, nested(texts(["a", "b"]), blobs([1, 2])));
        let other = read(Attribute::State, nested(texts(["b", "a"]), blobs([2, 1])));
        assert!(one.state.is_malformed());
        assert_eq!(one, other);
        assert_ne!(one, read(Attribute::State, nested(texts(["a", "c"]), blobs([1, 2]))));
    }

    #[test]
    fn a_value_of_another_store_is_named_in_no_condition() {
        let foreign = Malformed::new("blue");
        assert_eq!(seen_value(Field::Malformed(foreign.clone())), Err(ForeignValue(foreign)));
    }
}
