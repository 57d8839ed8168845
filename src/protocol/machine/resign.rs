//! The machine when its process leaves, or when its actor has to start over.

use std::{sync::Arc, time::Duration};

use super::{Machine, prober::Stage};
use crate::protocol::moment::Moment;

impl Machine {
    /// Forgets everything but the numbers that must not be used twice: epochs and probes
    /// count on, so that the outcome of a call that was admitted before is not taken for one
    /// of a new call.
    pub(crate) fn start_over(&mut self) {
        let (name, config) = (self.name.clone(), Arc::clone(self.wanted_config()));
        let fresh = Self::new(name, config, self.entropy.clone());
        let before = std::mem::replace(self, fresh);
        self.now = before.now;
        self.epoch = before.epoch.saturating_add(1);
        self.probes = before.probes;
        self.follow_from(&before);
        // The next read tells whether it is as subscribers know it.
        self.told_hold = before.told_hold;
        // The same voter: under another name this process would be two.
        self.voting = before.voting;
        self.forget_ballot();
    }

    /// Gives back a right to probe that no call uses, because this process leaves or may be
    /// frozen. Otherwise the fleet rejects calls until the lease has ended. A probe that runs
    /// keeps the right: its verdict is worth more.
    pub(crate) fn resign(&mut self, now: Moment) {
        self.advance(now);
        if self.phase.our_lease().is_some_and(|lease| lease.stage == Stage::Ready) {
            self.give_back();
            self.dispatch();
        }
    }

    /// Returns how much longer this process holds a right to probe that has no verdict yet,
    /// free or with a probe that runs. `None` if it holds none, or its lease is over.
    pub(crate) fn right_ends_in(&self) -> Option<Duration> {
        let lease = self.phase.our_lease()?;
        match lease.stage {
            Stage::Ready | Stage::Probing(_) => {
                let is_live = lease.is_live(self.now, &self.config);
                is_live.then(|| lease.left(self.now, &self.config))
            }
            Stage::Settling | Stage::HandedOver => None,
        }
    }
}
