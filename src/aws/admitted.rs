//! What an operation that is under way was admitted by: permits in its configuration.

use std::sync::{Arc, OnceLock};

use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::{breaker::Breaker, permit::OwnedPermit};

/// The breaker of an interceptor; clones of the interceptor share it.
pub(super) type Place = Arc<OnceLock<Breaker>>;

/// What a permit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Operation,
    Attempt,
}

/// The permits of one operation. They live in its configuration, which is dropped with the
/// operation's future, so that a call which is cancelled drops them.
#[derive(Debug, Default)]
pub(super) struct Admitted(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// Whose permit it is: one client may have several interceptors.
    place: Place,
    scope: Scope,
    permit: OwnedPermit,
}

impl Storable for Admitted {
    type Storer = StoreReplace<Self>;
}

impl Admitted {
    /// Returns the permits of the operation; `None` if there were none so far.
    pub(super) fn of(operation: &mut ConfigBag) -> Option<&mut Self> {
        operation.get_mut_from_interceptor_state()
    }

    /// Keeps a permit.
    pub(super) fn keep(
        operation: &mut ConfigBag,
        place: &Place,
        scope: Scope,
        permit: OwnedPermit,
    ) {
        let entry = Entry { place: Arc::clone(place), scope, permit };
        match Self::of(operation) {
            Some(admitted) => admitted.0.push(entry),
            None => {
                operation.interceptor_state().store_put(Self(vec![entry]));
            }
        }
    }

    /// Returns the permit of this interceptor, whatever it is for.
    pub(super) fn get(&self, place: &Place) -> Option<&OwnedPermit> {
        let entry = self.0.iter().find(|entry| Arc::ptr_eq(&entry.place, place))?;
        Some(&entry.permit)
    }

    /// Takes the permit of this interceptor for this scope.
    pub(super) fn take(&mut self, place: &Place, scope: Scope) -> Option<OwnedPermit> {
        let is_it = |entry: &Entry| Arc::ptr_eq(&entry.place, place) && entry.scope == scope;
        let found = self.0.iter().position(is_it)?;
        Some(self.0.swap_remove(found).permit)
    }
}
