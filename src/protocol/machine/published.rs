//! What observers and the hot path see of the machine.

use std::time::Duration;

use super::{
    Machine,
    phase::{Phase, Prober, Recovery, Stage, Standing},
    storage::PendingWrite,
};
use crate::{
    protocol::health::Access,
    protocol::moment::{Moment, millis},
    state::CircuitState,
};

/// The hot path reads a coarse clock, which may lag by one tick of the kernel
/// (10 ms at 100 Hz, the slowest that is common): a window opens that much earlier.
pub(crate) const CLOCK_TICK_MS: u64 = 16;

/// The shortest wait that a rejection names while a probe runs, where `handoff` is less.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// What the machine takes the circuit to be, and for how long that may be
/// relied upon without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) epoch: u64,
    pub(crate) state: CircuitState,
    pub(crate) failure_count: u64,
    pub(crate) opened_at: Option<i64>,
    /// Wall clock, in milliseconds since the Unix epoch, from which the digest holds.
    pub(crate) from_ms: u64,
    /// For how many milliseconds it holds; zero means that the machine must be asked.
    pub(crate) span_ms: u64,
    /// After how many milliseconds traffic should ask for a refresh.
    pub(crate) refresh_ms: u64,
    /// Until when every call is rejected, in milliseconds since the Unix epoch.
    pub(crate) retry_at_ms: u64,
}

impl Machine {
    /// The digest as of the machine's latest moment.
    pub(crate) fn digest(&self) -> Published {
        let (from_ms, span_ms) = self.window();
        let refreshes = matches!(self.phase, Phase::Closed { .. })
            && self.config.refresh_ahead()
            && self.is_fresh()
            && self.request.in_flight.is_none();
        let age_ms = millis(self.cache_age());
        let refresh_ms = age_ms.saturating_mul(4).checked_div(5).unwrap_or(age_ms);
        let refresh_ms = refresh_ms.saturating_add(CLOCK_TICK_MS);
        Published {
            epoch: self.epoch,
            state: self.phase.state(),
            failure_count: self.phase.failure_count(),
            opened_at: self.phase.opened_at(),
            from_ms,
            span_ms,
            refresh_ms: if refreshes { refresh_ms } else { u64::MAX },
            retry_at_ms: match self.phase {
                Phase::Closed { .. } => 0,
                Phase::Open(_) | Phase::HalfOpen(_) => {
                    self.now.wall_ms().saturating_add(millis_up(self.retry_after()))
                }
            },
        }
    }

    /// For how much longer the probe that runs may be on offer to calls that do not
    /// wait: until most of its lease has passed since it was written, so that traffic
    /// may be sparse, and not all, so that a call that takes it late does not run past it.
    pub(crate) fn probe_offer(&self) -> Duration {
        let lease = self.config.probe_lease();
        let offer = lease.saturating_sub(lease.checked_div(3).unwrap_or_default());
        let leased_at = match &self.phase {
            Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) => ours.leased_at,
            Phase::HalfOpen(_) | Phase::Closed { .. } | Phase::Open(_) => self.now,
        };
        offer.saturating_sub(self.now.since(leased_at))
    }

    /// How long until a call may be a probe; zero when it may, or when none is needed.
    /// While a probe runs it is no longer than a `handoff`: the probe may end well.
    pub(crate) fn retry_after(&self) -> Duration {
        let at_least = if self.health.is_outage() {
            Duration::ZERO
        } else {
            self.health.wait(Access::Write, self.now)
        };
        let wait = match &self.phase {
            Phase::Closed { .. } => return Duration::ZERO,
            Phase::Open(opening) => {
                match (opening.standing, opening.wait(self.now, &self.config)) {
                    (Standing::Stored, wait) => wait,
                    // It is probed without a write, whatever becomes of those.
                    (Standing::Owed | Standing::Lapsed | Standing::Refuted, wait) => return wait,
                }
            }
            Phase::HalfOpen(recovery) => {
                let since = match &recovery.prober {
                    Prober::Other(theirs) => {
                        return self
                            .lease_wait(**theirs, self.now)
                            .min(self.shortly())
                            .max(at_least);
                    }
                    Prober::Us(ours) => match ours.stage {
                        Stage::Probing(_) => Some(ours.leased_at),
                        // It is kept for the next call, which needs no write.
                        Stage::Ready => return Duration::ZERO,
                        Stage::Settling | Stage::HandedOver => None,
                    },
                    Prober::Offline(offline) => {
                        return offline
                            .probe
                            .map_or(Duration::ZERO, |probe| self.left_of_a_probe(probe.alive_at));
                    }
                    Prober::Nobody { .. } => None,
                };
                since.map_or(Duration::ZERO, |since| self.left_of_a_probe(since))
            }
        };
        wait.max(at_least)
    }

    /// When to ask again while a probe of this process runs under a lease of then.
    fn left_of_a_probe(&self, since: Moment) -> Duration {
        let left = self.config.probe_lease().saturating_sub(self.now.since(since));
        left.min(self.shortly())
    }

    /// When to ask again while somebody probes.
    fn shortly(&self) -> Duration {
        self.config.handoff().max(SHORTEST_RETRY)
    }

    /// When [`Machine::tick`] has something to do, as time from its latest
    /// moment; `None` when only a call can change anything.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let stale = self
            .cache
            .at
            .filter(|_| self.is_fresh())
            .map(|at| self.cache_age().saturating_sub(self.now.since(at)));
        let idle = self.request.in_flight.is_none() && self.pending.is_some();
        let owed = idle.then(|| self.wait_to_write());
        // When it may be forgotten that the store is out, or that calls failed.
        let kept = [Access::Read, Access::Write]
            .map(|access| self.health.wait(access, self.now))
            .into_iter()
            .chain([self.keeps_for()])
            .filter(|wait| *wait > Duration::ZERO);
        let lapses = match &self.phase {
            Phase::Open(opening) if self.pending == Some(PendingWrite::Trip) => {
                Some(opening.wait(self.now, &self.config))
            }
            Phase::Open(_) | Phase::Closed { .. } | Phase::HalfOpen(_) => None,
        };
        let given_back = self.kept_for();
        [stale, owed, lapses, given_back].into_iter().flatten().chain(kept).min()
    }

    /// How long until the write that is wanted may be made, or the look before it.
    fn wait_to_write(&self) -> Duration {
        let wait = self.health.wait(Access::Write, self.now);
        if self.pending == Some(PendingWrite::Trip) && !self.cache.last_read_unanswered {
            wait.max(self.health.wait(Access::Read, self.now))
        } else {
            wait
        }
    }

    /// How long until a right that is kept for the next call is given back.
    fn kept_for(&self) -> Option<Duration> {
        let Phase::HalfOpen(recovery) = &self.phase else {
            return None;
        };
        let Prober::Us(ours) = &recovery.prober else {
            return None;
        };
        let since = ours.kept_since.filter(|_| ours.stage == Stage::Ready && !self.claimed)?;
        Some(self.right_stays_for().saturating_sub(self.now.since(since)))
    }

    /// The wall-clock window in which the hot path may decide alone.
    fn window(&self) -> (u64, u64) {
        let (from, span) = if self.health.is_usable(Access::Read, self.now) {
            let fresh = self.cache.at.filter(|_| self.is_fresh());
            (fresh, self.cache_age())
        } else if self.is_about_to_fall_open() {
            (None, Duration::ZERO)
        } else {
            // Nothing can be learned before the back-off is over.
            (Some(self.now), self.health.wait(Access::Read, self.now))
        };
        match (from, millis(span)) {
            (None, _) | (Some(_), 0) => (0, 0),
            (Some(from), span_ms) => (
                from.wall_ms().saturating_sub(CLOCK_TICK_MS),
                span_ms.saturating_add(CLOCK_TICK_MS),
            ),
        }
    }
}

/// A wait in whole milliseconds, rounded up: nobody is to come back early.
fn millis_up(duration: Duration) -> u64 {
    let up = u64::from(!duration.subsec_nanos().is_multiple_of(1_000_000));
    millis(duration).saturating_add(up)
}
