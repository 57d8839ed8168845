//! The machine when its process leaves, or when its actor has to start over.

use std::{sync::Arc, time::Duration};

use super::{
    Machine,
    phase::{Phase, Prober, Recovery, Stage},
    storage::PendingWrite,
};
use crate::{protocol::machine::Entropy, protocol::moment::Moment, protocol::record::LeaseToken};

impl Machine {
    /// Forgets everything but the numbers that must not be used twice: epochs and probes
    /// count on, so that the outcome of a call that was admitted before is not taken for one
    /// of a new call.
    pub(crate) fn start_over(&mut self) {
        let (name, config) = (self.name.clone(), Arc::clone(&self.config));
        let fresh = Self::new(name, config, Box::new(NoEntropy));
        let before = std::mem::replace(self, fresh);
        self.entropy = before.entropy;
        self.now = before.now;
        self.epoch = before.epoch.saturating_add(1);
        self.probes = before.probes;
    }

    /// Gives back a right to probe that no call uses, because this process leaves or may be
    /// frozen. Otherwise the fleet rejects calls until the lease has ended. A probe that runs
    /// keeps the right: its verdict is worth more.
    pub(crate) fn resign(&mut self, now: Moment) {
        self.advance(now);
        if let Phase::HalfOpen(Recovery { prober: Prober::Us(lease), .. }) = &mut self.phase
            && lease.stage == Stage::Ready
        {
            lease.stage = Stage::Settling;
            // The write ends the token: it must not be resumed from a stale read.
            self.cache.election = None;
            self.pending = Some(PendingWrite::GiveBack);
            self.dispatch();
        }
    }

    /// Returns how much longer this process holds a right to probe that has no verdict yet,
    /// free or with a probe that runs. `None` if it holds none, or its lease is over.
    pub(crate) fn right_ends_in(&self) -> Option<Duration> {
        match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(lease), .. }) => match lease.stage {
                Stage::Ready | Stage::Probing(_) => {
                    let lease_length = self.config.probe_lease();
                    // By both clocks: a process that was frozen must not take a lease that has
                    // ended for its own.
                    let is_leased = self.now.is_within(lease.leased_at, lease_length);
                    is_leased.then(|| lease_length.saturating_sub(self.now.since(lease.leased_at)))
                }
                Stage::Settling | Stage::HandedOver => None,
            },
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => None,
        }
    }
}

/// Stands in while a machine is replaced.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn token(&mut self) -> LeaseToken {
        LeaseToken::new("")
    }

    fn jitter(&mut self) -> u8 {
        0
    }
}
