//! A process that fails where others do not.
//!
//! Whose trip was applied, and who then saw the circuit closed by probes of another,
//! is contradicted. When its rules say trip while it is so, it is refuted: the circuit
//! opens for it alone. Abstracted: how many good calls in a row end that (it may have
//! had them whenever it is closed).

use crate::{
    item::{HOLD, Item, Seen, State},
    process::{CLOSED, Phase, Process},
    shared::{Breach, Rules, Shared},
    weak::Weak,
};

impl Process {
    /// Opens for this process alone, if it is refuted.
    pub(super) fn opens_for_itself(&mut self, rules: &Rules) -> bool {
        if !self.contradicted || rules.weak == Weak::RefutedTrips {
            return false;
        }
        self.phase = Phase::Refuted;
        self.told = State::Open;
        true
    }

    /// Its own probes close the circuit, whoever's trip opened it.
    pub(super) fn closes_by_itself(&mut self, rules: &Rules) {
        if rules.weak != Weak::OwnCloseContradicts {
            self.tripped = false;
        }
    }

    /// What the store shows after a trip of this process: a hold judges it.
    pub(super) fn hear_of_closing(&mut self, found: Seen, shared: &mut Shared, rules: &Rules) {
        self.tripped &= found.is_none_or(|item| item.owner != Some(HOLD));
        if !self.tripped || !Item::is_closed(found) {
            return;
        }
        self.tripped = false;
        // A deletion says nothing.
        let Some(item) = found else { return };
        if item.released.is_some() && rules.weak != Weak::ReleaseContradicts {
            return;
        }
        self.contradicted = true;
        if !item.is_closed_by_token() || rules.processes == 1 {
            shared.breach(Breach::Unjust);
        }
    }

    /// So many good calls in a row that it is heard again.
    pub(crate) fn has_good_calls(&mut self) {
        self.contradicted = false;
        self.phase = CLOSED;
    }
}
