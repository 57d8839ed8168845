//! What a machine does when its process leaves, or its actor has to start over.

use std::{sync::Arc, time::Duration};

use super::{
    Machine,
    phase::{Phase, Prober, Recovery, Stage},
    storage::PendingWrite,
};
use crate::{protocol::machine::Entropy, protocol::moment::Moment, protocol::record::LeaseToken};

impl Machine {
    /// Forgets everything but what must never come again: epochs and probes count on, so
    /// that the outcome of a call that was admitted before changes nothing.
    pub(crate) fn start_over(&mut self) {
        let (name, config) = (self.name.clone(), Arc::clone(&self.config));
        let fresh = Self::new(name, config, Box::new(NoEntropy));
        let before = std::mem::replace(self, fresh);
        self.entropy = before.entropy;
        self.now = before.now;
        self.epoch = before.epoch.saturating_add(1);
        self.probes = before.probes;
    }

    /// Gives back a right of ours that is not being used, so that others need not wait for
    /// its lease: this process leaves, or may be frozen. A probe that runs keeps it.
    pub(crate) fn resign(&mut self, now: Moment) {
        self.advance(now);
        if let Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) = &mut self.phase
            && ours.stage == Stage::Ready
        {
            ours.stage = Stage::Settling;
            self.cache.election = None;
            self.pending = Some(PendingWrite::GiveBack);
            self.dispatch();
        }
    }

    /// How long this process still holds a right of which it has yet to say what came: one
    /// that is free, or of a probe that runs. `None` if it holds none, or its lease is over.
    pub(crate) fn right_ends_in(&self) -> Option<Duration> {
        match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => match ours.stage {
                Stage::Ready | Stage::Probing(_) => {
                    let lease = self.config.probe_lease();
                    let is_leased = self.now.is_within(ours.leased_at, lease);
                    is_leased.then(|| lease.saturating_sub(self.now.since(ours.leased_at)))
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
