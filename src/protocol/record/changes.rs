//! The two changes that operations are made of.

use super::{
    Field, Record,
    attribute::{Attribute, Change, Typed},
};

pub(super) fn set(attribute: Attribute, value: &impl Typed) -> Change {
    Change::Set(attribute, value.to_value())
}

/// Removes an attribute if the record that was seen has it.
///
/// Only then is the attribute named, so that a circuit without it sends what versions
/// that do not know it sent. Elections remove `released` and `open_until` too, since a
/// late reopening of Powertools leaves them on an open item: a closing by probes would then be
/// taken for a release by the operator, and the end of an opening for that of a later one.
pub(super) fn forget(attribute: Attribute, seen: Option<&Record>) -> Vec<Change> {
    let has_it = seen.is_some_and(|seen| seen.get(attribute) != Field::Absent);
    has_it.then_some(Change::Remove(attribute)).into_iter().collect()
}
