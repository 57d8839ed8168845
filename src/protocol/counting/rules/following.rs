//! Goes on counting by other settings, with the failures that stand.

use std::collections::VecDeque;

use super::{Failure, InARow, Rules, Window};
use crate::{config::Config, protocol::moment::Moment};

impl Rules {
    /// Goes on by other settings. Decides nothing: the next failure does.
    ///
    /// A rule goes on with what the rule of the same kind before it has kept, which may be less
    /// than its own window has room for. `newest` is the failure that was counted last.
    pub(in crate::protocol::counting) fn follow(
        &mut self,
        config: &Config,
        newest: Option<Moment>,
    ) {
        let Self { in_a_row, others: mut before, voting } =
            std::mem::replace(self, Self::new(config));
        self.in_a_row.go_on_from(in_a_row, newest);
        if let (Some(streak), Some(kept)) = (&mut self.voting, voting) {
            streak.go_on_from(*kept, newest);
        }
        for (rule, window) in &mut self.others {
            // The same rule if there is one: two of one kind may have changed places.
            let same = before.iter().position(|(other, _)| other == rule);
            let alike = || before.iter().position(|(_, other)| window.is_like(other));
            if let Some(found) = same.or_else(alike) {
                window.go_on_from(before.swap_remove(found).1);
            }
        }
    }
}

impl InARow {
    pub(in crate::protocol::counting) fn go_on_from(
        &mut self,
        before: Self,
        newest: Option<Moment>,
    ) {
        match (self, before) {
            (Self::AnyTime { run, .. }, Self::AnyTime { run: kept, .. }) => *run = kept,
            (Self::WithinTime { run, .. }, Self::WithinTime { run: kept, .. }) => *run = kept,
            (Self::AnyTime { run, .. }, before @ Self::WithinTime { .. }) => {
                *run = before.newest_place().map(|place| (place, before.len()));
            }
            // When the earlier ones came is not known: only the newest is sure to lie within a
            // window that is new.
            (Self::WithinTime { run, .. }, Self::AnyTime { run: kept, .. }) => {
                let newest = kept.zip(newest).map(|((place, _), at)| Failure { place, at });
                *run = VecDeque::from_iter(newest);
            }
        }
    }
}

impl Window {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn go_on_from(&mut self, before: Self) {
        match (self, before) {
            (Self::OfLast { standing, .. }, Self::OfLast { standing: kept, .. })
            | (Self::Within { standing, .. }, Self::Within { standing: kept, .. }) => {
                *standing = kept;
            }
            (Self::Rate { buckets, .. }, Self::Rate { buckets: kept, .. }) => *buckets = kept,
            (Self::OfLast { .. } | Self::Within { .. } | Self::Rate { .. }, _) => {}
        }
    }
}

#[cfg(test)]
mod tests;
